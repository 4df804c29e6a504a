"""The blocks of compute multipliers: costs until a loss against those of pretraining."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmark.report.results.multipliers import COSTS, EQUIVALENT, LATER, Factors
from benchmark.report.results.numbers import Numbers
from benchmark.report.results.rules import seconds_rule
from benchmark.report.statistics.intervals import FEWEST
from benchmark.report.statistics.multiplier import FURTHEST, Factor
from benchmark.report.tables.blocks import NOTHING, Block, Cell, Column, rows_of_columns

NOT_REACHED = "not reached"


def multipliers(numbers: Numbers, model: str, targets: Sequence[str]) -> list[Block]:
    """How many times less each method needs than pretraining, target by target."""
    found, results = numbers.multipliers, numbers.results
    if found is None:
        return []
    planned = len(results.study.seeds)
    columns = [
        column
        for target in targets
        for column in _columns(numbers, target, found.by_pair[model, target], planned)
    ]
    suffix = f", model {model}" if len(results.study.models) > 1 else ""
    problems = [note for target in targets for note in found.notes[model, target]]
    title = f"Compute multiplier: times less than {found.reference}, as trained{suffix}"
    return [_block(numbers, title, columns, [*_rules(numbers, found.reference), *problems])]


def multipliers_over_pairs(numbers: Numbers) -> list[Block]:
    """The same over all pairs, where there are several."""
    found, results = numbers.multipliers, numbers.results
    if found is None or len(results.pairs) < 2:
        return []
    planned = len(results.pairs) * len(results.study.seeds)
    columns = _columns(numbers, "", found.over_pairs, planned)
    title = f"Compute multiplier over all {results.pair_name}s, as trained"
    rules = [
        f"The numbers of each {results.pair_name}, geometric mean over seeds, then over "
        f"{results.pair_name}s; >x, <x: with the bounds of those that are only bounded; {NOTHING}: "
        "some are bounded from above and some from below, or not to be had"
    ]
    return [_block(numbers, title, columns, rules)]


Columns = list[tuple[Column, list[Cell]]]


def _block(numbers: Numbers, title: str, columns: Columns, rules: list[str]) -> Block:
    texts = [cell.text for _, cells in columns for cell in cells]
    how = _interval_rule(numbers, texts)
    return Block(
        title=title,
        columns=tuple(column for column, _ in columns),
        rows=rows_of_columns(numbers.results.methods, [cells for _, cells in columns]),
        notes=(*rules, how),
    )


def _columns(numbers: Numbers, group: str, factors: Factors, planned: int) -> Columns:
    results = numbers.results
    names = {**COSTS, EQUIVALENT: f"{results.reference} needs"}
    return [
        (
            Column(group, name),
            [Cell(_text(factors[m][quantity], quantity, planned)) for m in results.methods],
        )
        for quantity, name in names.items()
    ]


def _text(factor: Factor, quantity: str, planned: int) -> str:
    if factor.runs == 0:
        return NOTHING
    fewer = f" ({factor.runs}/{planned})" if factor.runs < planned else ""
    if quantity != EQUIVALENT and factor.short:
        some = f" in {factor.short} of {factor.runs}" if factor.short < factor.runs else ""
        return f"{NOT_REACHED}{some}{fewer}"
    if math.isnan(factor.mean):
        return NOTHING
    within = "" if math.isnan(factor.low) else f" [{_number(factor.low)}, {_number(factor.high)}]"
    return f"{factor.sign}{_number(factor.mean)}{within}{fewer}"


def _number(factor: float) -> str:
    if math.isinf(factor):
        return f">{FURTHEST:.0f}"
    return f"{factor:.2f}" if factor < 9.995 else f"{factor:.1f}"


def _rules(numbers: Numbers, reference: str) -> list[str]:
    return [
        f"FLOPs, steps, seconds: how many times less than {reference} a method has spent, "
        "preparation included, when its valid loss is first as low as the one that "
        f"{reference} ends with; {reference} counts until it first is there itself; between "
        "evaluations the log of the loss is linear in the log of the cost; paired by seed, "
        "geometric mean",
        f">x: lower already at the first evaluation; {NOT_REACHED}: never so low in its training "
        "(in n of m runs, if not in all)",
        f"{reference} needs: how many times that cost {reference} itself "
        "would take for the valid loss that the method ends with: read off its curve where that "
        "has it (<x: before its first evaluation), else extrapolated along loss = floor + scale x "
        f"cost^-exponent, fitted by least squares to its evaluations after the warm-up and the "
        f"first {LATER:.0%} of training, shifted to pass through the last; >{FURTHEST:.0f}: beyond "
        f"{FURTHEST:.0f} times that cost or below the floor, which is not extrapolated to; "
        "over several seeds, also if some of them are",
        seconds_rule(numbers.results),
    ]


def _interval_rule(numbers: Numbers, texts: Sequence[str]) -> str:
    several = f"{numbers.results.pair_name}s"
    if not any("[" in text for text in texts):
        return f"No intervals: they take {FEWEST} seeds, or {FEWEST} {several}"
    rule = (
        f"[low, high]: 95% interval over other seeds or, over {FEWEST} {several} or more, other "
        f"{several} (bootstrap-t, no narrower than Student's t)"
    )
    if len(numbers.results.study.seeds) >= FEWEST:
        return rule
    return (
        f"{rule}; with fewer than {FEWEST} seeds, of what is extrapolated on one target, that of "
        "the fit (its residuals resampled), so neither of other seeds nor of another form of curve"
    )
