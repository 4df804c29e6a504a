"""Which methods cannot be told from the best one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.report.statistics.estimates import Array, log_ratios
from benchmark.report.statistics.intervals import FEWEST, interval_over_seeds

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Ties:
    """Of each pair, each of shape (methods, pairs).

    ``best``: the lowest mean over seeds; ``tied``: another whose loss over that of the best may
    be 1 or less, by its interval; ``known``: whether there are seeds enough to say so. All are
    false for a method that lacks a seed.
    """

    best: Flags
    tied: Flags
    known: Flags


def ties_over_seeds(losses: Array) -> Ties:
    """Who is tied with the best of each pair; losses (methods, pairs, seeds), NaN missing.

    The differences are log ratios of losses of the same seed; their 95% intervals over seeds are
    those of `interval_over_seeds`, not corrected for the number of methods.
    """
    complete = np.isfinite(losses).all(axis=-1)
    means = np.where(complete, losses.sum(axis=-1) / losses.shape[-1], np.inf)
    lowest = means.argmin(axis=0)
    best = complete & (means == means.min(axis=0))
    others = complete & ~best
    tied = np.zeros_like(complete)
    known = complete & (best | (losses.shape[-1] >= FEWEST))
    rows, pairs = np.nonzero(others & known)
    if rows.size:
        ratios = log_ratios(losses[rows, pairs], losses[lowest[pairs], pairs])
        tied[rows, pairs] = interval_over_seeds(ratios[:, None]).low <= 0
    return Ties(best, tied, known)
