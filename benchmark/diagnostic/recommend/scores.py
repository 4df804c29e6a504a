"""The scores of what was foretold: regret, R2 and coverage, AUC, each with its interval.

Intervals are percentiles of a bootstrap over sources. Of few sources they are somewhat narrow: of
17, those that should hold the truth in 95% of cases held it in 93% where effects were normal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.diagnostic.evidence.scores import Score, resampled_counts, roc_auc, with_bounds
from benchmark.diagnostic.recommend.fitting import Array, Cell
from benchmark.report.results.inputs import REFERENCE

UNEVEN = 0.3
"""A question counts only where at least this share of cells has either answer."""
ALL_QUESTIONS = "mean of those that count"


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


def score_rows(end: str, some: Sequence[Foretold]) -> list[dict[str, object]]:
    """Every score of one end, as rows of `Scored.scores`."""
    return [*_regrets(end, some), *_of_gains(end, some), *_of_questions(end, some)]


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
    rows = [
        _row(end, "regret", name, _bootstrapped(_mean(v), counts)) for name, v in values.items()
    ]
    sources = np.array([each.cell.source for each in some])
    without = [(usual - ours)[sources != one] for one in np.unique(sources)]
    means = [float(rest.mean()) for rest in without if len(rest)]
    rows[-1] |= {"least": min(means, default=np.nan), "most": max(means, default=np.nan)}
    return rows


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


@dataclass(frozen=True)
class _Question:
    """Does one method gain more than another: the ``chance`` foretold and the ``difference``
    measured in the cells ``[m]`` where both have a gain; ``of`` ``[n]`` tells which these are.
    """

    chance: Array
    difference: Array
    of: NDArray[np.bool_]

    @property
    def base(self) -> float:
        return float((self.difference > 0).mean())

    @property
    def counts(self) -> bool:
        return UNEVEN <= self.base <= 1 - UNEVEN

    def area(self, counts: Array) -> Array:
        return roc_auc(self.chance, self.difference, counts[:, self.of])

    def brier(self, counts: Array) -> Array:
        errors = (self.chance - (self.difference > 0)) ** 2
        with np.errstate(invalid="ignore"):
            return _mean(errors)(counts[:, self.of])


_Measure = Callable[[_Question, Array], Array]


def _of_questions(end: str, some: Sequence[Foretold]) -> list[dict[str, object]]:
    """AUC and Brier score of "a gains more than b", and their means over questions that count."""
    asked = list(dict.fromkeys(pair for each in some for pair in each.chance))
    counts = _counts(some)
    rows, counted = [], []
    for a, b in asked:
        of = np.array([(a, b) in each.chance for each in some])
        known = [each for each in some if (a, b) in each.chance]
        question = _Question(
            chance=np.array([each.chance[a, b] for each in known]),
            difference=np.array([each.gain[a] - each.gain[b] for each in known]),
            of=of,
        )
        if question.counts:
            counted.append(question)
        for score, measure in (("AUC", question.area), ("Brier", question.brier)):
            found = _bootstrapped(measure, counts)
            rows.append(_row(end, score, f"{a} > {b}", found, question.base))
    if counted:
        for name, measure_of in (("AUC", _Question.area), ("Brier", _Question.brier)):

            def over_all(counts: Array, of: _Measure = measure_of) -> Array:
                each = np.array([of(question, counts) for question in counted])
                defined = np.isfinite(each)
                with np.errstate(invalid="ignore"):
                    mean: Array = np.where(defined, each, 0).sum(axis=0) / defined.sum(axis=0)
                return mean

            rows.append(_row(end, name, ALL_QUESTIONS, _bootstrapped(over_all, counts)))
    return rows
