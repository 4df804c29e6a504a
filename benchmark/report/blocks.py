"""The tables of a study before they are set: titles, columns and cells of text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.records import STAGES
from benchmark.report.inputs import StudyResults
from benchmark.report.rules import equal_cost_rule, equal_steps_rule
from benchmark.report.summary import costs_over_targets, summarise

STAGE_NAMES = dict(zip(STAGES, ("as trained", "after fine-tuning"), strict=True))
NOTHING = "-"
COST_RULE = (
    "Mean over targets and seeds, everything that a method used included. FLOPs and passes "
    "(rows drawn from the target sample, over its size) up to the end of each stage; "
    "seconds of training a step, without evaluation and checkpointing"
)


@dataclass(frozen=True)
class Cell:
    """What stands at a row and column; the best of a column is set in bold."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Column:
    """A column's name and the name that it shares with its neighbours."""

    group: str
    name: str


@dataclass(frozen=True)
class Block:
    """One table: a row of cells for each method, and the rule that chose its numbers."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    rule: str


def build_blocks(results: StudyResults, targets_abreast: int) -> list[Block]:
    """For each model: losses at equal steps, losses at equal cost, and costs.

    Targets beyond ``targets_abreast`` continue in further blocks.
    """
    summary = summarise(results.planned, results.stages, results.metrics, results.reference)
    blocks = []
    for model in results.study.models:
        rows = summary[summary["model"] == model]
        suffix = f", model {model}" if len(results.study.models) > 1 else ""
        groups = _groups_of(list(results.study.targets), targets_abreast)
        blocks += [_equal_steps(results, rows, targets, suffix) for targets in groups]
        blocks += [_equal_cost(results, rows, targets, suffix) for targets in groups]
        blocks.append(_costs(results, rows, suffix))
    return blocks


def _groups_of(names: list[str], size: int) -> list[list[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


def _equal_steps(
    results: StudyResults, rows: pd.DataFrame, targets: list[str], suffix: str
) -> Block:
    columns: dict[Column, list[Cell]] = {}
    for target in targets:
        for stage, name in STAGE_NAMES.items():
            cells = _rows_by_method(results, rows, target, stage)
            columns[Column(target, name)] = _loss_cells(cells, "test_loss", "seeds")
    title = f"Test loss ({results.loss_unit}) at equal steps{suffix}"
    return _block(title, results.methods, columns, equal_steps_rule(results.stages))


def _equal_cost(
    results: StudyResults, rows: pd.DataFrame, targets: list[str], suffix: str
) -> Block:
    columns: dict[Column, list[Cell]] = {}
    for target in targets:
        cells = _rows_by_method(results, rows, target, STAGES[0])
        columns[Column(target, "valid loss")] = _loss_cells(
            cells, "equal_cost_valid_loss", "equal_cost_seeds"
        )
        columns[Column(target, "at step")] = [Cell(_steps(row)) for row in cells]
    title = f"Valid loss ({results.loss_unit}) at equal cost, as trained{suffix}"
    return _block(title, results.methods, columns, equal_cost_rule(results.reference))


def _costs(results: StudyResults, rows: pd.DataFrame, suffix: str) -> Block:
    means = costs_over_targets(rows)
    trained, tuned = (
        means[means["stage"] == stage].set_index("method").reindex(results.methods)
        for stage in STAGES
    )
    training, tuning = "trained", "tuned"
    columns = {
        Column(training, "runs"): _counts(rows, results.methods),
        Column(training, "FLOPs"): _cells(trained["flops"], ".2e"),
        Column(training, "ratio"): _cells(trained["flops_ratio"], ".2f"),
        Column(training, "s/step"): _cells(trained["seconds_per_step"], ".3f"),
        Column(training, "ratio "): _cells(trained["seconds_per_step_ratio"], ".2f"),
        Column(training, "passes"): _cells(trained["target_passes"], ".1f"),
        Column(tuning, "FLOPs"): _cells(tuned["flops"], ".2e"),
        Column(tuning, "passes"): _cells(tuned["target_passes"], ".1f"),
    }
    rule = COST_RULE
    if results.reference is None:
        columns = {key: cells for key, cells in columns.items() if "ratio" not in key.name}
    else:
        rule += f"; ratios to {results.reference} on the same target and seed"
    return _block(f"Cost{suffix}", results.methods, columns, rule + ".")


def _block(title: str, methods: list[str], columns: dict[Column, list[Cell]], rule: str) -> Block:
    by_method = zip(*columns.values(), strict=True)
    return Block(title, tuple(columns), tuple(zip(methods, by_method, strict=True)), rule)


def _rows_by_method(
    results: StudyResults, rows: pd.DataFrame, target: str, stage: str
) -> list[dict[str, Any]]:
    chosen = rows[(rows["target"] == target) & (rows["stage"] == stage)]
    ordered = chosen.set_index("method").loc[results.methods]
    return [{str(name): value for name, value in row.items()} for row in ordered.to_dict("records")]


def _loss_cells(rows: list[dict[str, Any]], loss: str, seeds: str) -> list[Cell]:
    """Cells of one column; only means over all planned seeds compete for the best."""
    complete = [row for row in rows if row[seeds] == row["planned_seeds"]]
    best = min((f"{row[f'{loss}_mean']:.3f}" for row in complete), key=float, default="")
    cells = []
    for row in rows:
        text = _loss(row, loss, seeds)
        cells.append(Cell(text, best=row in complete and text.split()[0] == best))
    return cells


def _loss(row: dict[str, Any], loss: str, seeds: str) -> str:
    mean, deviation = row[f"{loss}_mean"], row[f"{loss}_sd"]
    if pd.isna(mean):
        return "over budget" if row["seeds"] and row[seeds] == 0 else _why_missing(row)
    text = f"{mean:.3f}" if pd.isna(deviation) else f"{mean:.3f} ± {deviation:.3f}"
    fewer = row[seeds] < row["planned_seeds"]
    return f"{text} ({row[seeds]:.0f}/{row['planned_seeds']})" if fewer else text


def _why_missing(row: dict[str, Any]) -> str:
    if row["failed_seeds"]:
        step = row["failed_at_step"]
        return "failed" if pd.isna(step) else f"failed (step {step})"
    return "pending" if row["pending_seeds"] else NOTHING


def _steps(row: dict[str, Any]) -> str:
    first, last = row["equal_cost_first_step"], row["equal_cost_last_step"]
    if pd.isna(first):
        return NOTHING
    return f"{first:.0f}" if first == last else f"{first:.0f}-{last:.0f}"


def _counts(rows: pd.DataFrame, methods: list[str]) -> list[Cell]:
    trained = rows[rows["stage"] == STAGES[0]].groupby("method")[["seeds", "planned_seeds"]].sum()
    counts = trained.loc[methods].itertuples(index=False)
    return [Cell(f"{done}/{planned}") for done, planned in counts]


def _cells(numbers: pd.Series[float], form: str) -> list[Cell]:
    return [Cell(_number(float(number), form)) for number in numbers]


def _number(number: float, form: str) -> str:
    return NOTHING if math.isnan(number) else format(number, form).replace("e+", "e")
