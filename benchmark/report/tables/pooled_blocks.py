"""The blocks of what all (model, target) pairs of a study say together."""

from __future__ import annotations

import math

from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.measures import Measure
from benchmark.report.results.numbers import Numbers
from benchmark.report.statistics.intervals import FEWEST
from benchmark.report.statistics.pooled import Pooled
from benchmark.report.tables.blocks import (
    NOTHING,
    Block,
    Cell,
    Column,
    bounds,
    change,
    number,
    rows_of_columns,
)
from benchmark.study.collapse import MARK

BOUND_BY = "bootstrap-t, no narrower than Student's t"


def pooled_changes(numbers: Numbers, measures: list[Measure]) -> Block:
    """How far each method's loss is from that of the reference, over all pairs."""
    results = numbers.results
    collapsed = {method for _, _, method in numbers.collapsed}
    columns, cells = [], []
    for measure in measures:
        rows = numbers.pooled[measure.key]
        columns += [Column(measure.name, "loss change"), Column(measure.name, "95% interval")]
        cells += [_changes(rows, collapsed), [Cell(bounds(row.low, row.high)) for row in rows]]
    shown = [row for measure in measures for row in numbers.pooled[measure.key]]
    notes = [_change_rule(results), *_interval_rules(results, shown), _marks_rule(shown)]
    if any(cell.text.endswith(")") for column in cells for cell in column):
        notes.append(
            f"(n/m): over n of the m runs that {results.baseline} has, neither bold nor underlined"
        )
    if collapsed:
        notes.append(f"{MARK}: with runs whose selection has collapsed, named above")
    return Block(
        title=f"Loss against {results.baseline}, over all {results.pair_name}s",
        columns=tuple(columns),
        rows=rows_of_columns(results.methods, cells),
        notes=tuple(notes),
    )


def mean_ranks(numbers: Numbers, measures: list[Measure]) -> Block:
    """Mean rank of each method over pairs, and on how many it is best."""
    results = numbers.results
    columns, cells, counts = [], [], []
    for measure in measures:
        rows = numbers.pooled[measure.key]
        lowest = min((row.rank for row in rows if not math.isnan(row.rank)), default=math.nan)
        columns += [Column(measure.name, "rank"), Column(measure.name, "best on")]
        cells += [
            [Cell(number(row.rank, ".2f"), best=row.rank == lowest) for row in rows],
            [Cell(f"{row.best_on}") for row in rows],
        ]
        counts.append(f"{rows[0].ranked_pairs} {measure.name}")
    notes = [
        f"Rank: of the mean log loss over seeds, 1 is lowest, equal ones share their mean rank; "
        f"mean over the {results.pair_name}s on which all methods with any loss have one "
        f"({', '.join(counts)})",
        f"Best on: how many {results.pair_name}s it is lowest on, of all that have a loss",
        "Bold: the lowest mean rank",
        splits_rule(measures),
    ]
    if any(math.isnan(row.rank) for m in measures for row in numbers.pooled[m.key]):
        notes.append(f"{NOTHING}: no loss (not run, failed, or over budget), so no rank")
    return Block(
        title=f"Ranks over all {results.pair_name}s",
        columns=tuple(columns),
        rows=rows_of_columns(results.methods, cells),
        notes=tuple(notes),
    )


def _changes(rows: list[Pooled], collapsed: set[str]) -> list[Cell]:
    most = max(row.runs for row in rows)
    cells = []
    for row in rows:
        fewer = f" ({row.runs}/{most})" if 0 < row.runs < most else ""
        mark = f" {MARK}" if row.runs and row.method in collapsed else ""
        text = change(row.log_ratio) + mark + fewer
        cells.append(Cell(text, best=row.best, tied=row.tied is True))
    return cells


def _change_rule(results: StudyResults) -> str:
    why = "" if results.reference else " (the study's first method, as it has no pretraining)"
    return (
        f"Loss change: against {results.baseline}{why}, paired by seed, seeds averaged first; "
        f"geometric mean over {results.pair_name}s, so from the mean log ratio; as trained and "
        "after fine-tuning on test, at equal FLOPs and seconds on valid, as trained"
    )


def _interval_rules(results: StudyResults, rows: list[Pooled]) -> list[str]:
    kinds = {row.interval_over for row in rows}
    few = f"fewer than {FEWEST} {results.pair_name}s"
    rules = {
        "targets": f"95% interval: over other targets like these; bootstrap over "
        f"{results.pair_name}s ({BOUND_BY})",
        "seeds": f"95% interval: over other seeds on the same targets, as {few} cannot speak of "
        f"others; bootstrap over the seeds of each ({BOUND_BY})",
    }
    if "targets" in kinds and "seeds" in kinds:
        rules["seeds"] = rules["seeds"].replace("interval:", f"interval of methods with {few}:")
    stated = [rule for kind, rule in rules.items() if kind in kinds]
    return stated or [
        f"95% interval: none; {len(results.pairs)} {results.pair_name}"
        f"{'s' if len(results.pairs) > 1 else ''} with {len(results.study.seeds)} "
        f"seed{'s' if len(results.study.seeds) > 1 else ''} bound nothing: it takes {FEWEST} "
        f"{results.pair_name}s or more seeds"
    ]


def _marks_rule(rows: list[Pooled]) -> str:
    bold = "Bold: the lowest of each column"
    told = any(row.tied is not None and not row.best for row in rows)
    return (
        f"{bold}. Underlined: tied with it, as the same kind of interval of its loss over that of "
        "the best does not lie above 0; not corrected for the number of methods"
        if told
        else f"{bold}. Nothing is underlined: what is tied with it cannot be told without an "
        "interval"
    )


def splits_rule(measures: list[Measure]) -> str:
    """Which losses each measure is of."""
    names: dict[str, list[str]] = {}
    for measure in measures:
        names.setdefault(measure.split, []).append(measure.name)
    return "; ".join(f"{', '.join(found)}: {split} losses" for split, found in names.items())
