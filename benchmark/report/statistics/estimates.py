"""Comparing methods over (model, target) pairs: arrays in, arrays out.

A pair, not a run, is the unit: pairs differ, and seeds are nested in them. Losses are positive and
lower is better; NaN stands for a result that is missing. Intervals are in `statistics_intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy  # whose parts load when they are used: figures need none
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
EXACT_UP_TO = 200


def log_ratios(losses: ArrayLike, reference: ArrayLike) -> Array:
    """How far each run's loss is from that of the reference (pretraining): log(loss / reference).

    Both are in nats a token and of the same shape, by convention (pairs, seeds), so that a run is
    compared to the reference run of the same pair and seed; NaN where either is missing. The
    difference of two methods' log ratios no longer depends on the reference.

    Raises:
        ValueError: shapes differ, or a loss is not positive.
    """
    ours, theirs = np.asarray(losses, dtype=float), np.asarray(reference, dtype=float)
    if ours.shape != theirs.shape:
        raise ValueError(f"losses are of shape {ours.shape}, the reference's of {theirs.shape}")
    for values in (ours, theirs):
        if (values <= 0).any():
            raise ValueError(f"losses must be positive to have a ratio, got {values.min()}")
    ratios: Array = np.log(ours) - np.log(theirs)
    return ratios


def mean_over_seeds(values: ArrayLike) -> Array:
    """Mean over the present seeds of each pair: (..., pairs, seeds) to (..., pairs), else NaN.

    So also over the present pairs: (..., pairs) to (...).
    """
    array = np.asarray(values, dtype=float)
    present = np.isfinite(array)
    counts = present.sum(axis=-1)
    sums = np.where(present, array, 0.0).sum(axis=-1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def wilcoxon(differences: ArrayLike) -> float:
    """Two-sided p-value of the signed-rank test that paired differences are symmetric about 0.

    One difference a pair, of shape (pairs,); NaN are left out. Differences of 0 are dropped
    (Wilcoxon's own rule), equal sizes share their mean rank, and the p-value is exact given these
    ranks: the share of all 2^n signs whose rank sum is at least as extreme. Hence n differences
    cannot give less than 2^(1-n): .25 for 3, .031 for 6, .002 for 10. Without any difference, 1.

    SciPy's test has the same definition, but turns to the normal approximation when ranks are
    tied; here that is left to more than `EXACT_UP_TO` differences (F. Wilcoxon, Individual
    comparisons by ranking methods, 1945).
    """
    array = np.asarray(differences, dtype=float)
    array = array[np.isfinite(array) & (array != 0)]
    if array.size > EXACT_UP_TO:
        return float(scipy.stats.wilcoxon(array, method="approx").pvalue)
    if array.size == 0:
        return 1.0
    # Mean ranks are multiples of a half: doubled, they are whole, and sums can be counted.
    doubled = np.rint(2 * scipy.stats.rankdata(np.abs(array))).astype(int)
    shares = np.ones(1)
    for rank in doubled:
        without, with_it = np.pad(shares, (0, rank)), np.pad(shares, (rank, 0))
        shares = (without + with_it) / 2
    positive = int(doubled[array > 0].sum())
    smaller = min(positive, int(doubled.sum()) - positive)
    return float(min(1.0, 2 * shares[: smaller + 1].sum()))


def smallest_p(pairs: int) -> float:
    """The least that `wilcoxon` can give for so many differences, all of one sign."""
    return min(1.0, 2.0 ** (1 - pairs))


def holm(p_values: ArrayLike) -> Array:
    """P-values adjusted for testing several hypotheses (S. Holm, 1979); NaN are no hypotheses.

    The i-th smallest of m is multiplied by m - i + 1, made no smaller than those before it, and
    cut at 1. Same shape as given.

    Raises:
        ValueError: a p-value is not between 0 and 1.
    """
    array = np.asarray(p_values, dtype=float)
    present = np.flatnonzero(~np.isnan(array))
    values = array.ravel()[present]
    if ((values < 0) | (values > 1)).any():
        raise ValueError(f"p-values must be between 0 and 1, got {values.tolist()}")
    order = np.argsort(values, kind="stable")
    factors = np.arange(values.size, 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    result = array.ravel().copy()
    result[present[order]] = adjusted
    return result.reshape(array.shape)


@dataclass(frozen=True)
class PairwiseTests:
    """Wilcoxon's test of every two methods, each of shape (methods, methods), symmetric.

    ``p``: p-values; ``adjusted``: after Holm over all of them; ``pairs``: on how many pairs both
    methods have a seed in common. The first two are NaN on the diagonal and without such a pair.
    """

    p: Array
    adjusted: Array
    pairs: NDArray[np.int64]


def pairwise_tests(scores: ArrayLike) -> PairwiseTests:
    """Test every two methods on the pairs that both have.

    ``scores`` (methods, pairs, seeds), NaN missing: log losses, or log ratios to some reference.
    A pair's difference is the mean over the seeds that both methods have.
    """
    array = np.asarray(scores, dtype=float)
    methods = len(array)
    both = np.isfinite(array)[:, None] & np.isfinite(array)[None]
    pairs = both.any(axis=-1).sum(axis=-1)
    p = np.full((methods, methods), np.nan)
    adjusted = p.copy()
    couples = [couple for couple in combinations(range(methods), 2) if pairs[couple]]
    raw = [wilcoxon(mean_over_seeds(array[one] - array[other])) for one, other in couples]
    for (one, other), value, corrected in zip(couples, raw, holm(raw), strict=True):
        p[one, other] = p[other, one] = value
        adjusted[one, other] = adjusted[other, one] = corrected
    return PairwiseTests(p, adjusted, pairs)


def probability_of_improvement(scores: ArrayLike, others: ArrayLike) -> float:
    """P(X > Y) for a run of each on the same pair, ties counting half, averaged over pairs.

    ``scores`` are those of X and ``others`` those of Y, higher being better (negate losses), of
    shapes (pairs, seeds of X) and (pairs, seeds of Y); NaN runs are left out, and so is a pair
    without a run of either. NaN if no pair is left. Definition: Agarwal et al., Deep
    Reinforcement Learning at the Edge of the Statistical Precipice, 2021, section 4.3 (rliable).

    Raises:
        ValueError: the numbers of pairs differ.
    """
    ours, theirs = np.asarray(scores, dtype=float), np.asarray(others, dtype=float)
    if len(ours) != len(theirs):
        raise ValueError(f"scores are of {len(ours)} pairs, the others of {len(theirs)}")
    wins = np.sign(ours[:, :, None] - theirs[:, None, :]).reshape(len(ours), -1)
    return float((1 + mean_over_seeds(mean_over_seeds(wins))) / 2)


def ratios_to_best(losses: ArrayLike) -> Array:
    """Each loss over the lowest on its pair, of shape (methods, pairs); 1 for the best."""
    array = np.asarray(losses, dtype=float)
    lowest = np.fmin.reduce(array, axis=0)
    ratios: Array = array / lowest
    return ratios


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Array:
    """Share of pairs on which each method's score is at most tau (Dolan and More, 2002).

    ``scores`` (methods, pairs), lower being better, as those of `ratios_to_best`; ``thresholds``
    (taus,). Gives (methods, taus). A missing score is within no threshold.
    """
    array, taus = np.asarray(scores, dtype=float), np.asarray(thresholds, dtype=float)
    within: Array = (array[:, :, None] <= taus).mean(axis=1)
    return within


def average_ranks(losses: ArrayLike) -> Array:
    """Mean rank of each method over the pairs that all have: (methods, pairs) to (methods,).

    1 is the lowest loss; equal losses share their mean rank. NaN if no pair is complete.
    """
    array = np.asarray(losses, dtype=float)
    complete = array[:, np.isfinite(array).all(axis=0)]
    if complete.shape[1] == 0:
        return np.full(len(array), np.nan)
    ranks: Array = scipy.stats.rankdata(complete, axis=0).mean(axis=1)
    return ranks
