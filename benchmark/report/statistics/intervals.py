"""Confidence intervals of a mean over (model, target) pairs: for other seeds, or other targets.

Both are bootstrap-t intervals, made no narrower on either side than Student's t. With as few pairs
as a benchmark has, the usual percentile bootstrap misses the truth far too often. Coverage of
nominal 95% intervals over 10 pairs (at least 4,000 simulated; normal / Student t with
3 degrees of freedom / exponential): percentile 90 / 89 / 86%, BCa 90 / 87 / 87%, Student's t
95 / 96 / 91%, bootstrap-t 95 / 93 / 94%; the outer bounds of the last two, 96 / 96 / 95%. The
bootstrap-t follows skewness, Student's t is steady under heavy tails, and which of them a study
has cannot be told from ten differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from benchmark.report.statistics.estimates import Array, mean_over_seeds

RESAMPLES = 1999
# A spread below this share of the values' size is nothing but rounding.
ROUNDING = 1e-12
FEWEST = 4
"""So many seeds of one pair, or pairs, bound a 95% interval; fewer leave it infinite."""
WIDEST = float(np.log(10))
"""A log ratio of losses that may be a tenth or tenfold is as good as not bounded."""
Kind = Literal["targets", "seeds", "none"]


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds of its confidence interval, infinite where the data bound nothing."""

    mean: Array
    low: Array
    high: Array


def interval_over_pairs(
    values: ArrayLike, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """What the mean would be over other targets like these: pairs are resampled.

    ``values`` (..., pairs) holds one number a pair, such as the mean over seeds of its log ratio;
    everything before the last axis is a study of its own, and the bounds have its shape. The same
    ``seed`` gives the same bounds. With 3 pairs or fewer, 95% bounds are infinite.

    Raises:
        ValueError: a value is not finite, or ``confidence`` is not between 0 and 1.
    """
    return _interval(np.asarray(values, dtype=float)[..., None, :], confidence, resamples, seed)


def interval_over_seeds(
    values: ArrayLike, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """What the mean would be with other seeds on the same targets: a stratified bootstrap.

    ``values`` (..., pairs, seeds); the seeds of each pair are resampled on their own (Agarwal et
    al., 2021), so the spread between pairs does not count. Infinite with one seed.

    Raises:
        ValueError: as of `interval_over_pairs`.
    """
    return _interval(np.asarray(values, dtype=float), confidence, resamples, seed)


def nested_interval(
    values: ArrayLike, confidence: float = 0.95, widest: float = WIDEST
) -> tuple[Kind, Interval | None]:
    """What other targets would give where pairs allow to say so, else what other seeds would.

    ``values`` (pairs, seeds) are log ratios of losses, NaN where a run has no result; pairs without
    any are left out. Gives over what the interval is, and None where neither can be had or
    exceeds ``widest``. A seed that some pair lacks is left out of all pairs when seeds are
    resampled.

    Raises:
        ValueError: as of `interval_over_pairs`.
    """
    array = np.asarray(values, dtype=float)
    array = array[np.isfinite(array).any(axis=1)]
    if len(array) >= FEWEST:
        over_targets = interval_over_pairs(mean_over_seeds(array), confidence)
        if _says_something(over_targets, widest):
            return "targets", over_targets
    complete = array[:, np.isfinite(array).all(axis=0)]
    if complete.shape[0] and complete.shape[1] >= 2:
        over_seeds = interval_over_seeds(complete, confidence)
        if _says_something(over_seeds, widest):
            return "seeds", over_seeds
    return "none", None


def _says_something(interval: Interval, widest: float) -> bool:
    return bool(interval.low > -widest and interval.high < widest)


def _interval(values: Array, confidence: float, resamples: int, seed: int) -> Interval:
    """Interval of the mean over strata of their means; (..., strata, draws) to (...)."""
    if not np.isfinite(values).all():
        raise ValueError("an interval needs finite values; leave out pairs without a result")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    strata, draws = values.shape[-2:]
    mean: Array = values.mean(axis=(-2, -1))
    if draws < 2:
        return Interval(mean, np.full_like(mean, -np.inf), np.full_like(mean, np.inf))
    centred = values - values.mean(axis=-1, keepdims=True)
    size = np.abs(values).max(axis=(-2, -1), keepdims=True)
    centred = np.where(np.abs(centred) > ROUNDING * size, centred, 0.0)
    error = np.sqrt((centred**2).sum(axis=(-2, -1)) / (draws - 1) / draws) / strata
    studentised = _studentised(centred, resamples, seed)
    tail = (1 - confidence) / 2
    # Order statistics: between an infinite one and the next there is nothing to interpolate.
    lowest = np.quantile(studentised, tail, axis=-1, method="lower")
    highest = np.quantile(studentised, 1 - tail, axis=-1, method="higher")
    least = float(scipy.stats.t.ppf(1 - tail, strata * (draws - 1)))
    return Interval(
        mean,
        mean - _times(np.maximum(highest, least), error),
        mean + _times(np.maximum(-lowest, least), error),
    )


def _studentised(centred: Array, resamples: int, seed: int) -> Array:
    """Deviations of resampled means in units of their own standard error, (..., resamples).

    A resample without spread is infinitely many standard errors off, unless it is not off at all.
    """
    strata, draws = centred.shape[-2:]
    rng = np.random.default_rng(seed)
    shape = (resamples, strata)
    counts = rng.multinomial(draws, np.full(draws, 1 / draws), size=shape).astype(float)
    off = np.zeros((*centred.shape[:-2], resamples))
    squares, spread = np.zeros_like(off), np.zeros_like(off)
    for stratum in range(strata):
        drawn = counts[:, stratum].T
        values = centred[..., stratum, :]
        means, moments = values @ drawn / draws, values**2 @ drawn
        off += means / strata
        squares += moments
        spread += moments - draws * means**2
    spread = np.where(spread > ROUNDING * squares, spread, 0.0)
    errors = np.sqrt(spread / (draws - 1) / draws) / strata
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(off == 0, 0.0, off / errors)


def _times(standard_errors: Array, error: Array) -> Array:
    """The product; 0 for values without any spread, however far off a resample may be."""
    with np.errstate(invalid="ignore"):
        return np.where(error > 0, standard_errors * error, 0.0)
