"""Is method A better than method B: on what, by how much, and how sure is that?

The unit is a (model, target) pair: test losses are compared as log(loss of A / loss of B) between
runs of the same pair and seed, seeds are averaged within pairs, and pairs are what is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.core.errors import UserError, unknown
from benchmark.report.results.inputs import StudyResults
from benchmark.report.statistics.estimates import (
    Array,
    log_ratios,
    mean_over_seeds,
    probability_of_improvement,
    wilcoxon,
)
from benchmark.report.statistics.intervals import Interval, Kind, nested_interval
from benchmark.study.stages import STAGES, Stage

LEVEL = 0.05
TESTABLE = 6
"""From so many pairs on, the signed-rank test can give less than .05: 2^(1-6) = .031."""
Certainty = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class StageComparison:
    """Two methods at the end of one stage.

    ``losses`` and ``others`` are the test losses of A and of B in nats a token, and ``ratios``
    log(A / B), all (pairs, seeds) and NaN where a run has no result; only ``pairs`` with a seed
    that both have are kept. ``interval`` is that of the mean log ratio: over other targets, or
    over other seeds on these, as ``kind`` says, or None where neither can be had. ``p`` is None
    where there are too few pairs for it to be low. ``improvement`` is the probability that a run
    of A is better than one of B on the same pair.
    """

    stage: Stage
    pairs: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    losses: Array
    others: Array
    ratios: Array
    kind: Kind
    interval: Interval | None
    p: float | None
    improvement: float

    @property
    def by_pair(self) -> Array:
        """Mean log ratio over the seeds of each pair, of shape (pairs,)."""
        return mean_over_seeds(self.ratios)

    @property
    def mean(self) -> float:
        """Mean log ratio over pairs: below 0, A has the lower loss."""
        return float(self.by_pair.mean())

    @property
    def certainty(self) -> Certainty:
        """Better or worse if the interval excludes 0 and no test that can decide objects."""
        if self.interval is None or (self.p is not None and self.p >= LEVEL):
            return "undecided"
        if self.interval.high < 0:
            return "better"
        return "worse" if self.interval.low > 0 else "undecided"


@dataclass(frozen=True)
class Comparison:
    """Methods ``a`` and ``b`` over the stages that both have results of."""

    a: str
    b: str
    stages: tuple[StageComparison, ...]


def compare(results: StudyResults, a: str, b: str) -> Comparison:
    """Compare two methods of a study.

    Raises:
        UserError: the study has no such method, they are the same, or no (model, target) and
            seed has a result of both.
    """
    for label in (a, b):
        if label not in results.methods:
            raise unknown("method", label, results.methods, at=f"study {results.study.study}: ")
    if a == b:
        raise UserError(f"compare: method {a!r} is given twice; give two different ones")
    stages = [_compare_stage(results, stage, a, b) for stage in STAGES]
    kept = tuple(stage for stage in stages if stage is not None)
    if not kept:
        raise UserError(
            f"study {results.study.study}: {a} and {b} have no (model, target) and seed with a "
            "result of both"
        )
    return Comparison(a, b, kept)


def pair_name(pair: tuple[str, str], results: StudyResults) -> str:
    """The target, with the model where the study has several."""
    model, target = pair
    return target if len(results.study.models) == 1 else f"{target} ({model})"


def _compare_stage(results: StudyResults, stage: Stage, a: str, b: str) -> StageComparison | None:
    losses, others = (_losses(results, stage, method) for method in (a, b))
    ratios = log_ratios(losses, others)
    has = np.flatnonzero(np.isfinite(ratios).any(axis=1))
    if not has.size:
        return None
    losses, others, ratios = losses[has], others[has], ratios[has]
    kind, interval = nested_interval(ratios)
    means = mean_over_seeds(ratios)
    return StageComparison(
        stage=stage,
        pairs=tuple(results.pairs[number] for number in has),
        seeds=results.study.seeds,
        losses=losses,
        others=others,
        ratios=ratios,
        kind=kind,
        interval=interval,
        p=wilcoxon(means) if len(means) >= TESTABLE else None,
        improvement=probability_of_improvement(-losses, -others),
    )


def _losses(results: StudyResults, stage: Stage, method: str) -> Array:
    """Test losses of a method, of shape (pairs, seeds) in the study's order, NaN for none."""
    frame = results.stages
    chosen = frame[(frame["stage"] == stage) & (frame["method"] == method)]
    table = np.full((len(results.pairs), len(results.study.seeds)), np.nan)
    rows = {pair: number for number, pair in enumerate(results.pairs)}
    columns = {seed: number for number, seed in enumerate(results.study.seeds)}
    names = ("model", "target", "seed", "test_loss")
    for model, target, seed, loss in zip(*(chosen[name] for name in names), strict=True):
        table[rows[model, target], columns[seed]] = loss
    return table
