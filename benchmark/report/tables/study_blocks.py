"""Which tables a study has, in order."""

from __future__ import annotations

from typing import TypeVar

from benchmark.report.results.numbers import Numbers
from benchmark.report.results.summary import BUDGETED
from benchmark.report.statistics.intervals import FEWEST
from benchmark.report.tables.blocks import Block
from benchmark.report.tables.loss_blocks import costs, equal_cost, equal_steps, every_seed
from benchmark.report.tables.multiplier_blocks import multipliers, multipliers_over_pairs
from benchmark.report.tables.pairwise_blocks import matrices, significance
from benchmark.report.tables.pooled_blocks import mean_ranks, pooled_changes
from benchmark.report.tables.score_blocks import scores

Item = TypeVar("Item")


def build_blocks(numbers: Numbers, abreast: int, brief: bool = False) -> list[Block]:
    """For each model losses and costs, then what all pairs say together.

    Targets beyond ``abreast`` continue in further blocks. With a few seeds, every one is shown.
    ``brief`` leaves out what is long: single seeds, and every two methods.
    """
    targets = _groups_of(list(numbers.results.study.targets), abreast)
    seeds = len(numbers.results.study.seeds)
    blocks = []
    for model in numbers.results.study.models:
        blocks += [equal_steps(numbers, model, group) for group in targets]
        blocks += [block for group in targets for block in scores(numbers, model, group)]
        if 1 < seeds < FEWEST and not brief:
            narrow = _groups_of(list(numbers.results.study.targets), max(1, abreast // seeds))
            blocks += [every_seed(numbers, model, group) for group in narrow]
        for cost in BUDGETED:
            blocks += [equal_cost(numbers, model, group, cost) for group in targets]
        blocks.append(costs(numbers, model))
        narrow = _groups_of(list(numbers.results.study.targets), max(1, abreast // 2))
        blocks += [block for group in narrow for block in multipliers(numbers, model, group)]
    return blocks + _over_pairs(numbers, abreast, brief)


def headline_blocks(numbers: Numbers, abreast: int) -> list[Block]:
    """For each model the losses at equal steps, and what each method costs."""
    targets = _groups_of(list(numbers.results.study.targets), abreast)
    blocks = []
    for model in numbers.results.study.models:
        blocks += [equal_steps(numbers, model, group) for group in targets]
        blocks += [block for group in targets for block in scores(numbers, model, group)]
        blocks.append(costs(numbers, model))
    return blocks


def _over_pairs(numbers: Numbers, abreast: int, brief: bool) -> list[Block]:
    measures = list(numbers.measures)
    groups = _groups_of(measures, len(measures) if abreast >= len(measures) else 2)
    blocks = [pooled_changes(numbers, group) for group in groups]
    blocks += [mean_ranks(numbers, group) for group in groups]
    blocks += multipliers_over_pairs(numbers)
    if brief or len(numbers.results.methods) < 2:
        return blocks
    return [*blocks, significance(numbers), *matrices(numbers)]


def _groups_of(names: list[Item], size: int) -> list[list[Item]]:
    return [names[start : start + size] for start in range(0, len(names), size)]
