"""What losses on several (model, target) pairs say about the methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.report.inputs import REFERENCE
from benchmark.report.statistics import (
    Array,
    average_ranks,
    holm,
    log_ratios,
    mean_over_seeds,
    pairwise_tests,
    wilcoxon,
)
from benchmark.report.statistics_intervals import Interval, interval_over_pairs


@dataclass(frozen=True)
class Comparison:
    """A method over several pairs; NaN for what it has not.

    ``pairs`` with a result; ``best``: on how many of them it is best; ``rank``: its mean over the
    pairs that all methods have; ``change`` of the loss against pretraining, the geometric mean
    over pairs, as a share (-.1 is a tenth lower); ``low`` and ``high``: its 95% interval over
    pairs; ``p`` of Wilcoxon's test against pretraining; ``p_holm``: after Holm over methods.
    """

    method: str
    pairs: int
    best: int
    rank: float
    change: float
    low: float
    high: float
    p: float
    p_holm: float


def compare(methods: list[str], losses: Array) -> list[Comparison]:
    """Each method against pretraining; losses (methods, pairs, seeds) in nats a token, NaN missing.

    Seeds are averaged first, as logarithms.
    """
    scores = _scores(methods, losses)
    present = [own[np.isfinite(own)] for own in scores]
    tested = [
        name != REFERENCE and own.size > 0 for name, own in zip(methods, present, strict=True)
    ]
    p = [wilcoxon(own) if test else np.nan for own, test in zip(present, tested, strict=True)]
    ranks, adjusted = average_ranks(scores), holm(p)
    wins = (scores == np.fmin.reduce(scores, axis=0)).sum(axis=1)
    compared = []
    for number, method in enumerate(methods):
        own = present[number]
        bounds = interval_over_pairs(own) if tested[number] else Interval(*[np.array(np.nan)] * 3)
        compared.append(
            Comparison(
                method=method,
                pairs=own.size,
                best=int(wins[number]),
                rank=float(ranks[number]),
                change=float(np.expm1(bounds.mean)),
                low=float(np.expm1(bounds.low)),
                high=float(np.expm1(bounds.high)),
                p=p[number],
                p_holm=float(adjusted[number]),
            )
        )
    return compared


def compare_pairwise(methods: list[str], losses: Array) -> pd.DataFrame:
    """Every two methods: ``method``, ``other``, ``pairs``, ``p`` and ``p_holm`` over all of them.

    ``losses`` as of `compare`; two rows for each two methods, one from either side.
    """
    tests = pairwise_tests(_scores(methods, losses))
    return pd.DataFrame(
        [
            {
                "method": method,
                "other": other,
                "pairs": tests.pairs[row, column],
                "p": tests.p[row, column],
                "p_holm": tests.adjusted[row, column],
            }
            for row, method in enumerate(methods)
            for column, other in enumerate(methods)
            if row != column
        ]
    )


def _scores(methods: list[str], losses: Array) -> Array:
    """Log loss ratio to pretraining, mean over seeds: (methods, pairs)."""
    reference = losses[methods.index(REFERENCE)]
    return np.stack([mean_over_seeds(log_ratios(own, reference)) for own in losses])
