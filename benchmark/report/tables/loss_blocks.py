"""The blocks of a study's losses and costs, a model at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from benchmark.report.results.collapse import Place, collapse_rule
from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.measures import Measure
from benchmark.report.results.numbers import Numbers
from benchmark.report.results.rules import (
    equal_cost_rules,
    equal_steps_rule,
    marks_rule,
    seeds_rule,
)
from benchmark.report.results.summary import BUDGETED, costs_over_targets
from benchmark.report.tables.blocks import NOTHING, Block, Cell, Column, number, rows_of_columns
from benchmark.study.collapse import MARK
from benchmark.study.stages import STAGE_NAMES, STAGES

COST_NAMES = dict(zip(BUDGETED, ("FLOPs", "seconds"), strict=True))
COST_RULES = (
    "Mean over targets and seeds, everything that a method used included",
    "FLOPs and passes (rows drawn from the target sample, over its size): up to the end of each "
    "stage; seconds of training a step: {how}",
)
BILLED = "without evaluation and checkpointing"
TIMED = "by step times measured apart, preparation included"
FEWER = "(n/m): mean over n of the m planned seeds, neither bold nor underlined"
OVER_BUDGET = "over budget"

Columns = list[tuple[Column, list[Cell]]]


def equal_steps(numbers: Numbers, model: str, targets: list[str]) -> Block:
    """Test losses of each target, as trained and after fine-tuning."""
    results, columns = numbers.results, Columns()
    for target in targets:
        for stage, name in STAGE_NAMES.items():
            rows = numbers.rows[model, target, stage]
            columns.append((Column(target, name), _loss_cells(rows, "test_loss", "", "seeds")))
    title = f"Test loss ({results.loss_unit}) at equal steps"
    rules = (equal_steps_rule(results.stages), *_mean_rules(results, columns))
    return _block(results, title, model, columns, (*rules, *_collapse(numbers, model, targets)))


def every_seed(numbers: Numbers, model: str, targets: list[str]) -> Block:
    """The test losses that the means of `equal_steps` are made of."""
    results, columns = numbers.results, Columns()
    for target in targets:
        pair = results.pairs.index((model, target))
        for measure in _tested(numbers):
            for place, seed in enumerate(results.study.seeds):
                losses = zip(results.methods, measure.losses[:, pair, place], strict=True)
                cells = [
                    Cell(_marked(number(loss, ".3f"), numbers, (model, target, method), seed))
                    for method, loss in losses
                ]
                columns.append((Column(f"{target}, {measure.name}", f"seed {seed}"), cells))
    title = f"Test loss ({results.loss_unit}) of every seed"
    rules = (equal_steps_rule(results.stages), *_collapse(numbers, model, targets))
    return _block(results, title, model, columns, rules)


def equal_cost(numbers: Numbers, model: str, targets: list[str], cost: str) -> Block:
    """Valid losses of each target where a budget of ``cost`` (flops, seconds) ends, and when."""
    results, columns = numbers.results, Columns()
    prefix = f"equal_{cost}"
    for target in targets:
        rows = numbers.rows[model, target, STAGES[0]]
        losses = _loss_cells(rows, prefix, "_valid_loss", f"{prefix}_seeds")
        columns.append((Column(target, "valid loss"), losses))
        columns.append((Column(target, "at step"), [Cell(_steps(row, prefix)) for row in rows]))
    title = f"Valid loss ({results.loss_unit}) at equal {COST_NAMES[cost]}, as trained"
    rules = (*equal_cost_rules(results, cost), *_mean_rules(results, columns))
    return _block(results, title, model, columns, (*rules, *_collapse(numbers, model, targets)))


def costs(numbers: Numbers, model: str) -> Block:
    """What each method costs, the mean over targets and seeds."""
    results = numbers.results
    rows = numbers.summary[numbers.summary["model"] == model]
    means = costs_over_targets(rows)
    trained, tuned = (
        means[means["stage"] == stage].set_index("method").reindex(results.methods)
        for stage in STAGES
    )
    columns = [
        (Column("trained", "runs"), _counts(rows, results.methods)),
        (Column("trained", "FLOPs"), _cells(trained["flops"], ".2e")),
        (Column("trained", "ratio"), _cells(trained["flops_ratio"], ".2f")),
        (Column("trained", "s/step"), _cells(trained["seconds_per_step"], ".3f")),
        (Column("trained", "ratio"), _cells(trained["seconds_per_step_ratio"], ".2f")),
        (Column("trained", "passes"), _cells(trained["target_passes"], ".1f")),
        (Column("fine-tuned", "FLOPs"), _cells(tuned["flops"], ".2e")),
        (Column("fine-tuned", "passes"), _cells(tuned["target_passes"], ".1f")),
    ]
    how = BILLED if results.times is None else TIMED
    rules = tuple(rule.format(how=how) for rule in COST_RULES)
    if results.reference is None:
        columns = [column for column in columns if column[0].name != "ratio"]
    else:
        rules = (*rules, f"Ratio: to {results.reference} on the same target and seed")
    return _block(results, "Cost", model, columns, rules)


def _block(
    results: StudyResults, title: str, model: str, columns: Columns, notes: Iterable[str]
) -> Block:
    suffix = f", model {model}" if len(results.study.models) > 1 else ""
    rows = rows_of_columns(results.methods, [cells for _, cells in columns])
    return Block(title + suffix, tuple(column for column, _ in columns), rows, tuple(notes))


def _tested(numbers: Numbers) -> list[Measure]:
    return [measure for measure in numbers.measures if measure.split == "test"]


def _marked(text: str, numbers: Numbers, place: Place, seed: int) -> str:
    collapsed = place in numbers.collapsed and seed in numbers.collapsed[place].rows
    return f"{text} {MARK}" if collapsed and text != NOTHING else text


def _collapse(numbers: Numbers, model: str, targets: list[str]) -> list[str]:
    shown = [(model, target, method) for target in targets for method in numbers.results.methods]
    return collapse_rule(numbers.results, numbers.collapsed, shown)


def _mean_rules(results: StudyResults, columns: Columns) -> list[str]:
    """The rules of means over seeds, as far as they concern these cells."""
    texts = [cell.text for _, cells in columns for cell in cells]
    rules = [seeds_rule(results), marks_rule(results)]
    if any(text.endswith(")") and "/" in text for text in texts):
        rules.append(FEWER)
    if OVER_BUDGET in texts:
        rules.append(
            f"{OVER_BUDGET.capitalize()}: not even its first evaluation is within the budget"
        )
    return rules


def _loss_cells(rows: list[dict[str, Any]], prefix: str, loss: str, seeds: str) -> list[Cell]:
    """Cells of one column; whatever shows the same number as the best is as good."""
    means = [number(row[f"{prefix}{loss}_mean"], ".3f") for row in rows]
    marked = list(zip(rows, means, strict=True))
    best = {mean for row, mean in marked if row[f"{prefix}_best"] is True}
    cells = []
    for row, mean in marked:
        complete = row[seeds] == row["planned_seeds"]
        is_best = complete and mean in best
        tied = not is_best and row[f"{prefix}_tied"] is True
        cells.append(Cell(_loss(row, f"{prefix}{loss}", seeds), best=is_best, tied=tied))
    return cells


def _loss(row: dict[str, Any], loss: str, seeds: str) -> str:
    mean, deviation = row[f"{loss}_mean"], row[f"{loss}_sd"]
    if pd.isna(mean):
        return OVER_BUDGET if row["seeds"] and row[seeds] == 0 else _why_missing(row)
    text = f"{mean:.3f}" if pd.isna(deviation) else f"{mean:.3f} ± {deviation:.3f}"
    if row["collapsed_seeds"]:
        text += f" {MARK}"
    fewer = row[seeds] < row["planned_seeds"]
    return f"{text} ({row[seeds]:.0f}/{row['planned_seeds']})" if fewer else text


def _why_missing(row: dict[str, Any]) -> str:
    if row["failed_seeds"]:
        step = row["failed_at_step"]
        return "failed" if pd.isna(step) else f"failed (step {step})"
    return "pending" if row["pending_seeds"] else NOTHING


def _steps(row: dict[str, Any], prefix: str) -> str:
    first, last = row[f"{prefix}_first_step"], row[f"{prefix}_last_step"]
    if pd.isna(first):
        return NOTHING
    return f"{first:.0f}" if first == last else f"{first:.0f}-{last:.0f}"


def _counts(rows: pd.DataFrame, methods: list[str]) -> list[Cell]:
    trained = rows[rows["stage"] == STAGES[0]].groupby("method")[["seeds", "planned_seeds"]].sum()
    counts = trained.loc[methods].itertuples(index=False)
    return [Cell(f"{done}/{planned}") for done, planned in counts]


def _cells(numbers: pd.Series[float], form: str) -> list[Cell]:
    return [Cell(number(float(value), form)) for value in numbers]
