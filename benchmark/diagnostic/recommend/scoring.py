"""How good recommendations are on sources that the rule has not seen: arrays and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from benchmark.core.errors import UserError
from benchmark.diagnostic.evidence.scores import Score, resampled_counts, roc_auc, with_bounds
from benchmark.diagnostic.recommend.advice import choose, forecast
from benchmark.diagnostic.recommend.features import Tier
from benchmark.diagnostic.recommend.fitting import Array, Cell, fit_rule
from benchmark.diagnostic.recommend.regression import FEWEST
from benchmark.diagnostic.recommend.rule import ENDS, AdviceRule, FittedOn
from benchmark.report.results.inputs import REFERENCE
from benchmark.study.study import MethodEntry

UNEVEN = 0.3
"""A question is asked only where at least this share of cells has either answer."""


@dataclass(frozen=True)
class Foretold:
    """At one end, the methods of one cell: ``gain`` measured, ``expected`` with ``low``, ``high``
    (90%), ``mean`` of the cells that the rule was fitted on, all by label; ``chance`` that the
    first of two labels gains more than the second; ``chosen`` by the rule, ``usual`` its best on
    average.
    """

    cell: Cell
    gain: dict[str, float]
    expected: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    mean: dict[str, float]
    chance: dict[tuple[str, str], float]
    chosen: str
    usual: str

    def regret(self, label: str) -> float:
        """Of a choice: how much more the best of the menu has gained."""
        return max(self.gain.values()) - self.gain[label]


@dataclass(frozen=True)
class Scored:
    """What was foretold, by end, and the ``scores`` of it: a row for each end, score and question.

    ``value``, ``low``, ``high``: the score and its 95% interval by a bootstrap over sources;
    ``base``: the share of cells with a yes, of questions.
    """

    how: str
    foretold: dict[str, list[Foretold]]
    scores: pd.DataFrame
    left_out: list[str] = field(default_factory=list)


def score_left_out(
    cells: Sequence[Cell], menu: dict[str, MethodEntry], tier: Tier, on: FittedOn
) -> Scored:
    """Each source by a rule fitted to the others.

    Raises:
        UserError: there are not `FEWEST` sources more than one.
    """
    sources = sorted({cell.source for cell in cells})
    if len(sources) <= FEWEST:
        raise UserError(
            f"{', '.join(on.studies)}: {len(sources)} sources are too few to leave one out: "
            f"{FEWEST + 1} at least, and 40 to be of use"
        )
    found: dict[str, list[Foretold]] = {end: [] for end in ENDS}
    for source in sources:
        others = [cell for cell in cells if cell.source != source]
        rest = {name: of for name, of in on.sources.items() if name != source}
        fitted = replace_sources(on, rest, len(others))
        rule = fit_rule(others, menu, tier, fitted)
        for cell in cells:
            if cell.source == source:
                _foretell(rule, cell, found)
    return _scored(f"each of {len(sources)} sources by a rule fitted to the others", found)


def score_frozen(cells: Sequence[Cell], rule: AdviceRule) -> Scored:
    """The sources that a rule has not seen, by the rule as it is.

    Raises:
        UserError: it has seen them all.
    """
    seen = set(rule.fitted_on.sources)
    new = [cell for cell in cells if cell.source not in seen]
    if not new:
        raise UserError(
            f"--against: the rule was fitted on every source here ({', '.join(sorted(seen))}): "
            "score it on others, or leave --against out to leave one out at a time"
        )
    found: dict[str, list[Foretold]] = {end: [] for end in ENDS}
    for cell in new:
        _foretell(rule, cell, found)
    known = sorted({cell.source for cell in cells} & seen)
    how = f"{len({cell.source for cell in new})} sources that the rule had not seen"
    return replace(_scored(how, found), left_out=known)


def replace_sources(on: FittedOn, sources: dict[str, tuple[str, ...]], cells: int) -> FittedOn:
    """The same studies with fewer sources."""
    return on.model_copy(update={"sources": sources, "cells": cells})


def _foretell(rule: AdviceRule, cell: Cell, found: dict[str, list[Foretold]]) -> None:
    standardised = rule.standardised(cell.measured)
    for name, end in rule.ends.items():
        gains = cell.gains.get(name, {})
        labels = tuple(label for label in end.predictors if label in gains)
        if not labels:
            continue
        said = forecast(end, standardised, labels)
        low, high = said.bounds
        names, draws = said.with_reference
        chance = {
            (a, b): float((draws[:, i] > draws[:, j]).mean())
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if i > j
        }
        expected = dict(zip(labels, said.expected.tolist(), strict=True))
        gain = {REFERENCE: 0.0, **{label: gains[label] for label in labels}}
        means = {REFERENCE: 0.0, **{label: end.predictors[label].mean for label in labels}}
        found[name].append(
            Foretold(
                cell=cell,
                gain=gain,
                expected=expected,
                low=dict(zip(labels, low.tolist(), strict=True)),
                high=dict(zip(labels, high.tolist(), strict=True)),
                mean=means,
                chance=chance,
                chosen=choose(names, np.array([0.0, *said.expected]), end.seed_spread),
                usual=max(means, key=lambda label: means[label]),
            )
        )


def _scored(how: str, found: dict[str, list[Foretold]]) -> Scored:
    rows = [
        row
        for end, some in found.items()
        if some
        for row in (*_regrets(end, some), *_of_gains(end, some), *_of_questions(end, some))
    ]
    return Scored(how, {end: some for end, some in found.items() if some}, pd.DataFrame(rows))


def _counts(some: Sequence[Foretold]) -> Array:
    return resampled_counts(np.array([each.cell.source for each in some]))


def _row(
    end: str, score: str, question: str, found: Score, base: float = np.nan
) -> dict[str, object]:
    return {
        "end": end,
        "score": score,
        "question": question,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "base": base,
    }


def _bootstrapped(measure: Callable[[Array], Array], counts: Array) -> Score:
    """A score and its percentiles; ``measure`` takes how often each cell counts, ``[R, n]``."""
    return with_bounds(measure(np.ones((1, counts.shape[1]))), measure(counts))


def _mean(values: Array) -> Callable[[Array], Array]:
    def measure(counts: Array) -> Array:
        mean: Array = counts @ values / counts.sum(axis=1)
        return mean

    return measure


def _regrets(end: str, some: Sequence[Foretold]) -> list[dict[str, object]]:
    """Of the recommendation, of the best on average, and what the one saves over the other."""
    ours = np.array([each.regret(each.chosen) for each in some])
    usual = np.array([each.regret(each.usual) for each in some])
    plain = np.array([each.regret(REFERENCE) for each in some])
    counts = _counts(some)
    values = {
        "recommended": ours,
        "always the best on average": usual,
        "always pretraining": plain,
        "saved over the best on average": usual - ours,
    }
    return [
        _row(end, "regret", name, _bootstrapped(_mean(v), counts)) for name, v in values.items()
    ]


def _of_gains(end: str, some: Sequence[Foretold]) -> list[dict[str, object]]:
    """R2 of expected gains and coverage of intervals, of each method and of all."""
    labels = list(dict.fromkeys(label for each in some for label in each.expected))
    rows, parts = [], []
    for label in labels:
        of = [each for each in some if label in each.expected]
        parts.append((of, *_errors(of, label)))
        rows += _gain_rows(end, label, *parts[-1])
    every, *numbers = zip(*parts, strict=True)
    together = [each for of in every for each in of]
    joined = (np.concatenate(each) for each in numbers)
    return [*_gain_rows(end, "all methods", together, *joined), *rows]


def _errors(of: Sequence[Foretold], label: str) -> tuple[Array, Array, Array]:
    """Squared errors of the expected gain and of the mean of others; whether intervals hold it."""
    gain, expected, mean, low, high = (
        np.array([getattr(each, name)[label] for each in of])
        for name in ("gain", "expected", "mean", "low", "high")
    )
    inside = ((low <= gain) & (gain <= high)).astype(float)
    return (gain - expected) ** 2, (gain - mean) ** 2, inside


def _gain_rows(
    end: str, label: str, of: Sequence[Foretold], ours: Array, theirs: Array, inside: Array
) -> list[dict[str, object]]:
    counts = _counts(of)

    def explained(counts: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            share: Array = 1 - (counts @ ours) / (counts @ theirs)
        return share

    return [
        _row(end, "R2", label, _bootstrapped(explained, counts)),
        _row(end, "coverage", label, _bootstrapped(_mean(inside), counts)),
    ]


def _of_questions(end: str, some: Sequence[Foretold]) -> list[dict[str, object]]:
    """AUC and Brier score of "a gains more than b", where neither answer is rare."""
    asked = list(dict.fromkeys(pair for each in some for pair in each.chance))
    rows = []
    for a, b in asked:
        of = [each for each in some if (a, b) in each.chance]
        difference = np.array([each.gain[a] - each.gain[b] for each in of])
        base = float((difference > 0).mean())
        if not UNEVEN <= base <= 1 - UNEVEN:
            continue
        chance, counts = np.array([each.chance[a, b] for each in of]), _counts(of)
        brier = (chance - (difference > 0)) ** 2

        def area(counts: Array, c: Array = chance, d: Array = difference) -> Array:
            return roc_auc(c, d, counts)

        name = f"{a} > {b}"
        rows.append(_row(end, "AUC", name, _bootstrapped(area, counts), base))
        rows.append(_row(end, "Brier", name, _bootstrapped(_mean(brier), counts), base))
    return rows
