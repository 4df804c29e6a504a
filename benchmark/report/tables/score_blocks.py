"""The blocks of what models are scored by beside their loss, such as accuracy or BLEU."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.numbers import Numbers
from benchmark.report.results.rules import equal_steps_rule
from benchmark.report.tables.blocks import NOTHING, Block, Cell, Column, rows_of_columns
from benchmark.study.stages import STAGE_NAMES


def scores(numbers: Numbers, model: str, targets: list[str]) -> list[Block]:
    """A block for each score that the runs have, in the order in which they have them."""
    results = numbers.results
    stages = [stage for record in results.records for stage in record.stages]
    names = dict.fromkeys(name for stage in stages for name in stage.scores)
    return [_of_score(results, model, targets, name) for name in names]


def _of_score(results: StudyResults, model: str, targets: list[str], name: str) -> Block:
    columns: list[tuple[Column, list[Cell]]] = []
    for target in targets:
        for stage, title in STAGE_NAMES.items():
            place = (model, target, stage)
            cells = [_cell(_found(results, place, method, name)) for method in results.methods]
            columns.append((Column(target, title), cells))
    suffix = f", model {model}" if len(results.study.models) > 1 else ""
    seeds = len(results.study.seeds)
    how = "mean ± sample standard deviation over seeds" if seeds > 1 else "one run a number"
    return Block(
        f"Test {name} at equal steps{suffix}",
        tuple(column for column, _ in columns),
        rows_of_columns(results.methods, [cells for _, cells in columns]),
        (
            equal_steps_rule(results.stages),
            f"Seeds: {', '.join(map(str, results.study.seeds))}; {how}; higher is better; no step "
            "is chosen by it",
        ),
    )


def _found(
    results: StudyResults, place: tuple[str, str, str], method: str, name: str
) -> list[float]:
    """The score of each seed that has one."""
    model, target, stage = place
    return [
        result.scores[name]
        for record in results.records
        if (record.spec.model_name, record.spec.target_name) == (model, target)
        and record.spec.method.label == method
        for result in record.stages
        if result.stage == stage and name in result.scores
    ]


def _cell(values: Sequence[float]) -> Cell:
    if not values:
        return Cell(NOTHING)
    mean = f"{fmean(values):.3f}"
    return Cell(mean if len(values) == 1 else f"{mean} ± {stdev(values):.3f}")
