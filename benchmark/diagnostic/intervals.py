"""Bootstrap over target batches: how far a measure would move with another target sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from benchmark.diagnostic.measures import Array

# Fisher's transformation of 1 is infinite.
LARGEST_CORRELATION = 1 - 1e-9


def resampled_counts(batches: int, resamples: int, rng: np.random.Generator) -> Array:
    """How often each batch is drawn, with replacement: ``[resamples, batches]``.

    A resample of one batch only cannot be split and is drawn again.
    """
    counts = rng.multinomial(batches, np.full(batches, 1 / batches), size=resamples)
    while (single := (counts > 0).sum(axis=1) < 2).any():
        counts[single] = rng.multinomial(batches, np.full(batches, 1 / batches), size=single.sum())
    return counts.astype(float)


def bounds(
    value: float, replicates: ArrayLike, batches: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Confidence bounds around ``value``: Student's t times the replicates' standard deviation.

    Not the replicates' percentiles: a half that is drawn with replacement holds fewer distinct
    batches than a real one, so that split-half measures of replicates lie too low (their spread is
    what can be used). ``batches`` - 1 degrees of freedom. NaN if a replicate or the value is NaN.

    Coverage of nominal 95% bounds of a reliability of .09, .38 and .84, over 150 simulated probes
    of 96 rows and 12 batches: 88, 89 and 95%; of percentiles 91, 32 and 7%. How far another draw
    of generic rows would move a measure is not in them.
    """
    spread = float(np.std(np.asarray(replicates, dtype=float), ddof=1))
    reach = float(student.ppf((1 + confidence) / 2, batches - 1)) * spread
    return value - reach, value + reach


def correlation_bounds(value: float, replicates: ArrayLike, batches: int) -> tuple[float, float]:
    """The same of a correlation, within -1 and 1: found on the scale of its inverse hyperbolic
    tangent (R. A. Fisher, 1915).
    """
    inside = np.clip([value, *np.asarray(replicates)], -LARGEST_CORRELATION, LARGEST_CORRELATION)
    scaled = np.arctanh(inside)
    low, high = bounds(float(scaled[0]), scaled[1:], batches)
    return float(np.tanh(low)), float(np.tanh(high))
