"""The measures of the diagnostic: arrays in, arrays or numbers out.

Throughout, ``c`` ``[B, m]`` holds the alignment of m generic rows with each of B disjoint batches
of the target sample; ``halves`` ``[S, B]`` says which batches are in the first half of each of S
random splits; ``counts`` ``[B]`` says how often each batch counts (once, unless a bootstrap drew
it otherwise; copies of a batch stay in one half).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]
Booleans = NDArray[np.bool_]


def spearman(a: Array, b: Array) -> Array:
    """Spearman's rank correlation along the last axis, ties sharing their mean rank.

    ``[..., m], [..., m] -> [...]``; NaN where either is constant.
    """
    ranks = [rankdata(values, axis=-1) for values in (a, b)]
    x, y = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    scale = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation: Array = (x * y).sum(axis=-1) / scale
    return correlation


def random_halves(batches: int, splits: int, rng: np.random.Generator) -> Booleans:
    """Random splits of batches into halves, equal to one batch: ``[splits, batches]``.

    Raises:
        ValueError: there are fewer than 2 batches.
    """
    if batches < 2:
        raise ValueError(f"{batches} batch cannot be split into halves")
    order = rng.permuted(np.tile(np.arange(batches), (splits, 1)), axis=1)
    return order < batches // 2


def half_means(c: Array, halves: Booleans, counts: Array) -> tuple[Array, Array]:
    """Mean alignment of each row over the first and over the second half: ``[S', m]`` each.

    Splits of which a half counts nothing are left out.
    """
    first, second = halves * counts, ~halves * counts
    filled = (first.sum(axis=1) > 0) & (second.sum(axis=1) > 0)
    first, second = first[filled], second[filled]
    return _normalised(first) @ c, _normalised(second) @ c


def reliability(c: Array, halves: Booleans, counts: Array) -> float:
    """Split-half reliability: mean rank correlation of the rows' alignments with two halves.

    1: any half of the sample ranks the rows alike; 0: the ranking is noise.
    """
    return float(spearman(*half_means(c, halves, counts)).mean())


def lengthened(reliability: float, factor: float) -> float:
    """The reliability of a sample ``factor`` times as large (Spearman 1910; Brown 1910).

    Theirs has a pole below 0, where only chance leads; here it is odd.
    """
    size = abs(reliability)
    return math.copysign(factor * size / (1 + (factor - 1) * size), reliability)


def held_out_curve(c: Array, halves: Booleans, counts: Array) -> Array:
    """Held-out alignment of the best rows: ``[m]``, entry s - 1 for the s best.

    Rows are ranked by one half and their mean alignment with the other half is taken, averaged
    over splits and over which half ranks.
    """
    one, other = half_means(c, halves, counts)
    ranking, held_out = np.concatenate([one, other]), np.concatenate([other, one])
    order = np.argsort(-ranking, axis=1, kind="stable")
    best_first = np.take_along_axis(held_out, order, axis=1)
    means: Array = np.cumsum(best_first, axis=1) / np.arange(1, c.shape[1] + 1)
    return np.asarray(means.mean(axis=0))


def self_alignment(t: Array, batch_of: NDArray[np.int64], halves: Booleans, counts: Array) -> float:
    """Mean alignment of the rows in one half of the target sample with the other half.

    ``t`` ``[B, k]``: alignment of the k rows of the batches with each batch; ``batch_of`` ``[k]``.
    """
    values = []
    for ranking in (halves, ~halves):
        inside, held_out = ranking * counts, ~ranking * counts
        filled = (inside.sum(axis=1) > 0) & (held_out.sum(axis=1) > 0)
        rows = _normalised(inside[filled][:, batch_of])
        values.append((_normalised(held_out[filled]) @ t * rows).sum(axis=1))
    return float(np.mean(values))


@dataclass(frozen=True)
class Headroom:
    """Held-out alignments of the rows that selection would take, of the mean row, and of target
    rows; ``share`` of the way from the mean row to a target row that selection goes.
    """

    top: float
    mean: float
    self: float

    @property
    def share(self) -> float:
        """1: selected rows are as good as target rows; 0: no better than any.

        NaN where target rows are no better aligned than the mean generic row: nothing to gain.
        """
        gap = self.self - self.mean
        return (self.top - self.mean) / gap if gap > 0 else float("nan")


def headroom(
    c: Array,
    t: Array,
    batch_of: NDArray[np.int64],
    halves: Booleans,
    counts: Array,
    downsampling: float,
) -> Headroom:
    """What choosing the top 1 / ``downsampling`` of the rows gains on target rows not used for it.

    ``t`` and ``batch_of`` as of :func:`self_alignment`.
    """
    curve = held_out_curve(c, halves, counts)
    own = self_alignment(t, batch_of, halves, counts)
    return Headroom(float(curve[top_size(len(curve), downsampling) - 1]), float(curve[-1]), own)


def top_size(rows: int, downsampling: float) -> int:
    """How many of ``rows`` are the top 1 / ``downsampling``: at least one."""
    return max(1, round(rows / downsampling))


def persistence(alignments: Array) -> Array:
    """Rank correlations of the rows' alignments between checkpoints: ``[C, m] -> [C, C]``."""
    return spearman(alignments[:, None], alignments[None])


@dataclass(frozen=True)
class Transfer:
    """Agreement of rows with the displacement of a fine-tuning, in the unit of ``displacement``.

    ``correlation``: rank correlation with the rows' alignment; ``top``, ``mean``: agreement of the
    rows that are best aligned, and of all.
    """

    correlation: float
    top: float
    mean: float


def transfer(alignment: Array, displacement: Array, downsampling: float) -> Transfer:
    """Do the rows ``[m]`` best aligned with the target point where fine-tuning goes ``[m]``?"""
    order = np.argsort(-alignment, kind="stable")[: top_size(len(alignment), downsampling)]
    return Transfer(
        correlation=float(spearman(alignment, displacement)),
        top=float(displacement[order].mean()),
        mean=float(displacement.mean()),
    )


def _normalised(weights: Array) -> Array:
    sums: Array = weights / weights.sum(axis=1, keepdims=True)
    return sums
