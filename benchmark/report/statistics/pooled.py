"""What losses on several (model, target) pairs say about the methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.report.statistics.estimates import (
    Array,
    average_ranks,
    holm,
    log_ratios,
    mean_over_seeds,
    pairwise_tests,
    probability_of_improvement,
    wilcoxon,
)
from benchmark.report.statistics.intervals import Kind, nested_interval

PAIRWISE = ["method", "other", "pairs", "log_ratio", "p", "p_holm", "improvement"]


@dataclass(frozen=True)
class Pooled:
    """A method over several pairs; NaN for what it has not.

    ``pairs`` and ``runs`` of which it and the reference have a result; ``log_ratio`` of its loss
    to the reference's, the mean over pairs (seeds averaged first, paired), and ``low`` and
    ``high``, its 95% interval over what ``interval_over`` says; ``best``: it is lowest of the
    methods with as many runs as the reference; ``tied``: the interval of its ratio to that one
    does not lie above 0, None where none can be had or runs are missing; ``rank``: its mean over
    ``ranked_pairs``, those that all methods with any result have; ``best_on``: on how many pairs
    it is lowest; ``p`` of Wilcoxon's test against the reference; ``p_holm``: after Holm over
    methods.
    """

    method: str
    pairs: int
    runs: int
    log_ratio: float
    low: float
    high: float
    interval_over: Kind
    best: bool
    tied: bool | None
    rank: float
    ranked_pairs: int
    best_on: int
    p: float
    p_holm: float


def compare(methods: list[str], losses: Array, reference: str) -> list[Pooled]:
    """Each method against ``reference``; losses (methods, pairs, seeds), positive, NaN missing."""
    against = losses[methods.index(reference)]
    ratios = [log_ratios(own, against) for own in losses]
    scores = np.stack([mean_over_seeds(own) for own in ratios])
    pairs = np.isfinite(scores).sum(axis=1)
    runs = np.array([np.isfinite(own).sum() for own in ratios])
    means = [_mean(own) for own in scores]
    tests = [
        wilcoxon(own) if count and name != reference else np.nan
        for name, own, count in zip(methods, scores, pairs, strict=True)
    ]
    adjusted = holm(tests)
    best = _best(means, runs)
    ranks, ranked_pairs, best_on = _ranks(losses)
    compared = []
    for place, method in enumerate(methods):
        kind, interval = ("none", None) if method == reference else nested_interval(ratios[place])
        compared.append(
            Pooled(
                method=method,
                pairs=int(pairs[place]),
                runs=int(runs[place]),
                log_ratio=means[place],
                low=float(interval.low) if interval else np.nan,
                high=float(interval.high) if interval else np.nan,
                interval_over=kind,
                best=place == best,
                tied=_tied(losses, place, best, runs),
                rank=float(ranks[place]),
                ranked_pairs=ranked_pairs,
                best_on=int(best_on[place]),
                p=tests[place],
                p_holm=float(adjusted[place]),
            )
        )
    return compared


def compare_pairwise(methods: list[str], losses: Array) -> pd.DataFrame:
    """Every two methods, two rows for each, one from either side; ``losses`` as of `compare`.

    ``method``, ``other``, ``pairs`` that both have, ``log_ratio`` of the method's loss to the
    other's (the mean over pairs), ``p`` of Wilcoxon's test and ``p_holm`` over all of them, and
    ``improvement``, the probability that a run of the method is better than one of the other.
    """
    tests = pairwise_tests(np.log(losses))
    rows = []
    for row, method in enumerate(methods):
        for column, other in enumerate(methods):
            if row == column:
                continue
            difference = mean_over_seeds(log_ratios(losses[row], losses[column]))
            rows.append(
                {
                    "method": method,
                    "other": other,
                    "pairs": tests.pairs[row, column],
                    "log_ratio": _mean(difference),
                    "p": tests.p[row, column],
                    "p_holm": tests.adjusted[row, column],
                    "improvement": probability_of_improvement(-losses[row], -losses[column]),
                }
            )
    return pd.DataFrame(rows, columns=PAIRWISE)


def _mean(values: Array) -> float:
    """Mean of the present values, NaN for none."""
    return float(mean_over_seeds(values))


def _best(means: list[float], runs: NDArray[np.int64]) -> int | None:
    """Place of the lowest mean of the methods that have a result of as many runs as any."""
    complete = np.where(runs == runs.max(), means, np.inf)
    return int(complete.argmin()) if runs.any() else None


def _tied(losses: Array, place: int, best: int | None, runs: NDArray[np.int64]) -> bool | None:
    if best is None or runs[place] < runs.max():
        return None
    if place == best:
        return False
    _, interval = nested_interval(log_ratios(losses[place], losses[best]))
    return None if interval is None else bool(interval.low <= 0)


def _ranks(losses: Array) -> tuple[Array, int, NDArray[np.int64]]:
    """Mean ranks of the methods with any result, over how many pairs, and how often each wins."""
    scores = mean_over_seeds(np.log(losses))
    present = np.isfinite(scores).any(axis=1)
    ranks = np.full(len(losses), np.nan)
    ranks[present] = average_ranks(scores[present])
    complete = int(np.isfinite(scores[present]).all(axis=0).sum()) if present.any() else 0
    return ranks, complete, (scores == np.fmin.reduce(scores, axis=0)).sum(axis=1)
