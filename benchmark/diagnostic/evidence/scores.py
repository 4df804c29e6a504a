"""How good predictions are, with intervals for other targets like these.

``chance`` or expected gain and measured ``gain`` are ``[n]``, one number a cell; ``counts``
``[R, n]`` says how often each cell counts in each of R resamples, and a score gives ``[R]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.core.randomness import generator
from benchmark.diagnostic.measures import Array

RESAMPLES = 2000


@dataclass(frozen=True)
class Score:
    """A figure and the bounds of its 95% interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


def accuracy(chance: Array, gain: Array, counts: Array) -> Array:
    """Share of cells of which the more probable answer is true; even chances count half."""
    right = np.where(chance == 0.5, 0.5, (chance > 0.5) == (gain > 0))
    share: Array = counts @ right / counts.sum(axis=1)
    return share


def roc_auc(chance: Array, gain: Array, counts: Array) -> Array:
    """Probability that a cell with a gain was given a higher chance than one without.

    Ties count half (Mann and Whitney); NaN where all cells have the same answer.
    """
    positive, negative = counts * (gain > 0), counts * (gain <= 0)
    wins = ((positive @ _above(chance)) * negative).sum(axis=1)
    with np.errstate(invalid="ignore"):
        area: Array = wins / (positive.sum(axis=1) * negative.sum(axis=1))
    return area


def rank_correlation(predicted: Array, gain: Array, counts: Array) -> Array:
    """Spearman's correlation, ties sharing their mean rank; NaN where either is constant."""
    total = counts.sum(axis=1, keepdims=True)
    x, y = (
        ranks - (counts * ranks).sum(axis=1, keepdims=True) / total
        for ranks in (counts @ _above(values).T for values in (predicted, gain))
    )
    scale = np.sqrt((counts * x**2).sum(axis=1) * (counts * y**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        correlation: Array = (counts * x * y).sum(axis=1) / np.where(scale > 0, scale, np.nan)
    return correlation


def _above(values: Array) -> Array:
    """1 where the row's value is above the column's, 0.5 where they are equal: ``[n, n]``."""
    difference = values[:, None] - values[None, :]
    return 0.5 * (1 + np.sign(difference))


SCORES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "accuracy": accuracy,
    "ROC AUC": roc_auc,
    "Spearman": rank_correlation,
}


def resampled_counts(groups: NDArray[np.str_], resamples: int = RESAMPLES) -> Array:
    """How often each cell counts when targets are drawn with replacement: ``[resamples, n]``.

    Cells of one target share its text, so targets are drawn, not cells.
    """
    names, member = np.unique(groups, return_inverse=True)
    rng = generator(0, "evidence", "targets")
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    counts: Array = drawn[:, member].astype(float)
    return counts


def score(name: str, chance: Array, gain: Array, counts: Array) -> Score:
    """One of `SCORES` with the percentiles of its bootstrap; undefined resamples are left out."""
    measure, once = SCORES[name], np.ones((1, len(gain)))
    return with_bounds(measure(chance, gain, once), measure(chance, gain, counts))


def difference(name: str, chance: Array, other: Array, gain: Array, counts: Array) -> Score:
    """By how much ``chance`` scores better than ``other`` on the same cells."""
    measure, once = SCORES[name], np.ones((1, len(gain)))
    value, draws = (
        measure(chance, gain, each) - measure(other, gain, each) for each in (once, counts)
    )
    return with_bounds(value, draws)


def with_bounds(value: Array, draws: Array) -> Score:
    """The value ``[1]`` and percentiles of its draws ``[R]``, the undefined ones left out."""
    defined = draws[np.isfinite(draws)]
    if not np.isfinite(value[0]) or len(defined) == 0:
        return Score(float(value[0]), float("nan"), float("nan"))
    low, high = np.quantile(defined, [0.025, 0.975])
    return Score(float(value[0]), float(low), float(high))
