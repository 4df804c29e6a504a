"""The blocks that compare every two methods over all (model, target) pairs of a study."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from benchmark.report.results.numbers import Numbers
from benchmark.report.statistics.estimates import smallest_p
from benchmark.report.tables.blocks import (
    NOTHING,
    Block,
    Cell,
    Column,
    Row,
    number,
    p_value,
    ungrouped,
)
from benchmark.report.tables.pooled_blocks import splits_rule

LEVEL = 0.05
P_RULE = "Wilcoxon signed-rank, two-sided and exact, on log loss, seeds averaged first"


def significance(numbers: Numbers) -> Block:
    """What tests of every two methods can find with the pairs there are, and what they do find."""
    results, rows = numbers.results, []
    for measure in numbers.measures:
        frame = tests_of(numbers.pairwise[measure.key])
        least, least_holm = attainable(frame)
        texts = (
            _range(frame["pairs"]),
            f"{len(frame)}",
            number(least, ".2g"),
            number(least_holm, ".2g"),
            p_value(frame["p"].min()),
            p_value(frame["p_holm"].min()),
            f"{(frame['p_holm'] < LEVEL).sum()}",
        )
        rows.append((measure.name, tuple(Cell(text) for text in texts)))
    possible, found = "smallest p possible", "smallest p found"
    columns = (
        *ungrouped((f"{results.pair_name}s", "tests")),
        *(Column(group, name) for group in (possible, found) for name in ("one test", "Holm")),
        *ungrouped((f"p < {LEVEL}",)),
    )
    notes = (
        f"{P_RULE}; every two methods on the {results.pair_name}s that both have; Holm: over all "
        "tests of the row",
        f"Smallest p possible: all differences of one sign; n {results.pair_name}s cannot give "
        "less than 2^(1-n)",
        f"p < {LEVEL}: how many tests are, after Holm",
        *_impossible(numbers),
    )
    title = "Every two methods: what can be significant"
    return Block(title, columns, tuple(rows), notes, corner="losses")


def p_matrix(
    title: str, frame: pd.DataFrame, notes: tuple[str, ...], unit: str = "target"
) -> Block:
    """P-values after Holm of the rows of `compare_pairwise`."""
    tests = tests_of(frame)
    least, least_holm = attainable(tests)
    rules = (
        f"{P_RULE}, over the {unit}s that both have ({_range(tests['pairs'])}); Holm over all "
        f"{len(tests)} tests; no test can give less than {number(least, '.2g')}, after Holm "
        f"{number(least_holm, '.2g')}",
        f"Bold: below {LEVEL}",
    )
    rows = _rows(frame, "p_holm", lambda p: Cell(p_value(p), best=p < LEVEL))
    return Block(title, ungrouped(name for name, _ in rows), rows, (*notes, *rules))


def improvement_matrix(
    title: str, frame: pd.DataFrame, notes: tuple[str, ...], unit: str = "target"
) -> Block:
    """Probabilities that a run of the row's method is better than one of the column's."""
    rows = _rows(frame, "improvement", lambda share: Cell(number(share, ".2f")))
    rule = (
        "Probability that a run of the row's method has a lower loss than one of the column's on "
        f"the same {unit}: the share of all couples of their seeds, equal losses counting half, "
        f"averaged over {unit}s"
    )
    return Block(title, ungrouped(name for name, _ in rows), rows, (rule, *notes))


def matrices(numbers: Numbers) -> list[Block]:
    """Tests of every two methods where any can be significant, and who improves on whom."""
    blocks, unit = [], numbers.results.pair_name
    for measure in numbers.measures:
        frame = numbers.pairwise[measure.key]
        notes = (splits_rule([measure]),)
        title = f"Every two methods, {measure.name}"
        if attainable(tests_of(frame))[0] < LEVEL:
            blocks.append(p_matrix(f"{title}: p-values after Holm", frame, notes, unit))
        blocks.append(
            improvement_matrix(f"{title}: probability of improvement", frame, notes, unit)
        )
    return blocks


def tests_of(pairwise: pd.DataFrame) -> pd.DataFrame:
    """The rows of `compare_pairwise` without those from the other side and those not tested."""
    order = {name: place for place, name in enumerate(dict.fromkeys(pairwise["method"]))}
    once = pairwise["method"].map(order) < pairwise["other"].map(order)
    return pairwise[once & pairwise["p"].notna()]


def attainable(tests: pd.DataFrame) -> tuple[float, float]:
    """The smallest p-value that any of the tests can give, and after Holm; NaN without a test."""
    if tests.empty:
        return math.nan, math.nan
    least = smallest_p(int(tests["pairs"].max()))
    return least, min(1.0, len(tests) * least)


def _impossible(numbers: Numbers) -> list[str]:
    """Where no test can be significant, whatever the losses are."""
    rules = []
    least = {m.name: attainable(tests_of(numbers.pairwise[m.key])) for m in numbers.measures}
    alone = [name for name, (one, _) in least.items() if not one < LEVEL]
    after = [name for name, (one, holm) in least.items() if one < LEVEL <= holm]
    unit = f"{numbers.results.pair_name}s"
    if alone:
        rules.append(
            f"Too few {unit} for any significance, so no table of p-values: {', '.join(alone)}"
        )
    if after:
        rules.append(f"Too few {unit} for any significance after Holm: {', '.join(after)}")
    return rules


def _rows(frame: pd.DataFrame, value: str, cell: Callable[[float], Cell]) -> tuple[Row, ...]:
    """A row and a column for each method, nothing on the diagonal."""
    methods = list(dict.fromkeys(frame["method"]))
    found = frame.set_index(["method", "other"])[value].to_dict()
    return tuple(
        (name, tuple(cell(float(found.get((name, other), math.nan))) for other in methods))
        for name in methods
    )


def _range(counts: pd.Series[int]) -> str:
    if counts.empty:
        return NOTHING
    least, most = int(counts.min()), int(counts.max())
    return f"{least}" if least == most else f"{least}-{most}"
