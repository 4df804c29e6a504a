"""Compute multipliers of a study: whose cost until a loss is how many times less than whose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.summary import training_metrics
from benchmark.report.statistics.intervals import FEWEST
from benchmark.report.statistics.multiplier import (
    RESAMPLES,
    Curve,
    Factor,
    Reference,
    cost_of_end,
    equivalent,
    equivalents,
    has_only_risen,
    has_risen,
    multiplier,
    pooled,
    reference_of,
)
from benchmark.report.statistics.power_law import FEWEST_POINTS
from benchmark.study.stages import STAGES

COSTS = {"flops": "FLOPs", "step": "steps", "seconds": "seconds"}
EQUIVALENT = "equivalent"
QUANTITIES = (*COSTS, EQUIVALENT)
LATER = 0.25
"""From this share of training on, and after the warm-up, curves are fitted."""

RUN = ["model", "target", "method", "seed"]

Pair = tuple[str, str]
Run = tuple[str, str, str, int]
Factors = dict[str, dict[str, Factor]]


@dataclass(frozen=True)
class Multipliers:
    """By method, then by quantity, of each (model, target), and over all of these.

    ``flops``, ``step``, ``seconds``: how many times less than the reference until its end loss;
    ``equivalent``: how many times the reference's own cost it would take for the method's loss.
    ``notes``: what is wrong with the curves of a pair's reference.
    """

    reference: str
    by_pair: dict[Pair, Factors]
    over_pairs: Factors
    notes: dict[Pair, tuple[str, ...]]


@dataclass(frozen=True)
class _Run:
    """The curve of one run by each cost, and its loss as trained."""

    curves: dict[str, Curve]
    loss: float


@dataclass(frozen=True)
class _Beside:
    """A run, and that of the reference with the same seed."""

    own: _Run
    reference: _Run
    fitted: Reference


def multipliers_of(results: StudyResults) -> Multipliers | None:
    """None if the study has no pretraining.

    Only runs with a result as trained count, and of these the seeds that pretraining has too.
    """
    reference = results.reference
    if reference is None:
        return None
    runs = _runs(results)
    fits = {place: _fitted(results, run) for place, run in runs.items() if place[2] == reference}
    by_pair: dict[Pair, Factors] = {pair: {} for pair in results.pairs}
    over_pairs: Factors = {}
    for method in results.methods:
        found = {
            pair: _beside(results, runs, fits, pair, method, reference) for pair in results.pairs
        }
        for pair, seeds in found.items():
            factors = {cost: _multiplier([seeds], cost) for cost in COSTS}
            references, losses = [b.fitted for b in seeds], [b.own.loss for b in seeds]
            by_pair[pair][method] = {**factors, EQUIVALENT: equivalents(references, losses)}
        every = list(found.values())
        factors = {cost: _multiplier(every, cost) for cost in COSTS}
        needed = [[equivalent(b.fitted, b.own.loss) for b in seeds] for seeds in every]
        over_pairs[method] = {**factors, EQUIVALENT: pooled(needed)}
    notes = {pair: tuple(_notes(fits, pair)) for pair in results.pairs}
    return Multipliers(reference, by_pair, over_pairs, notes)


def multipliers_frame(found: Multipliers | None) -> pd.DataFrame:
    """A row for each (model, target, method, quantity), and for each (method, quantity) over all.

    Those over all have no model and target.
    """
    places = [] if found is None else [*found.by_pair.items(), (("", ""), found.over_pairs)]
    rows = [
        {
            "model": pair[0],
            "target": pair[1],
            "method": method,
            "quantity": quantity,
            "factor": factor.mean,
            "sign": factor.sign,
            "low": factor.low,
            "high": factor.high,
            "interval_over": factor.kind,
            "not_reached": factor.short,
            "runs": factor.runs,
        }
        for pair, factors in places
        for method, by_quantity in factors.items()
        for quantity, factor in by_quantity.items()
    ]
    names = ("model", "target", "method", "quantity", "factor", "sign", "low", "high")
    return pd.DataFrame(rows, columns=[*names, "interval_over", "not_reached", "runs"])


def _multiplier(pairs: list[list[_Beside]], cost: str) -> Factor:
    return pooled(
        [
            [multiplier(b.reference.curves[cost], b.own.curves[cost]) for b in seeds]
            for seeds in pairs
        ]
    )


def _runs(results: StudyResults) -> dict[Run, _Run]:
    """The runs with a result as trained and an evaluation of finite loss after the start."""
    training = training_metrics(results.metrics, results.stages)
    training = training[(training["step"] > 0) & np.isfinite(training["valid_loss"])]
    trained = (
        results.stages[results.stages["stage"] == STAGES[0]].set_index(RUN)["valid_loss"].to_dict()
    )
    training = training.sort_values("step", kind="stable")
    losses = training["valid_loss"].to_numpy(dtype=float)
    costs = {cost: training[cost].to_numpy(dtype=float) for cost in COSTS}
    found = {}
    for key, lines in training.groupby(RUN, sort=False).indices.items():
        place = cast("Run", key)
        curves = {cost: Curve(every[lines], losses[lines]) for cost, every in costs.items()}
        found[place] = _Run(curves, float(trained[place]))
    return found


def _fitted(results: StudyResults, run: _Run) -> Reference:
    """A reference's curve over FLOPs, fitted to from where its rate and loss have settled."""
    steps = run.curves["step"].costs
    later = (steps > results.study.training.warmup) & (steps >= LATER * steps[-1])
    resamples = RESAMPLES if len(results.study.seeds) < FEWEST else 0
    return reference_of(run.curves["flops"], later, resamples)


def _beside(
    results: StudyResults,
    runs: dict[Run, _Run],
    fits: dict[Run, Reference],
    pair: Pair,
    method: str,
    reference: str,
) -> list[_Beside]:
    """The seeds that a method and the reference have."""
    found = []
    for seed in results.study.seeds:
        own, same = (*pair, method, seed), (*pair, reference, seed)
        if own in runs and same in runs:
            found.append(_Beside(runs[own], runs[same], fits[same]))
    return found


def _notes(fits: dict[Run, Reference], pair: Pair) -> Iterator[str]:
    for (*place, method, seed), reference in fits.items():
        if tuple(place) != pair:
            continue
        where, curve = f"{method} on {pair[1]}, seed {seed}", reference.curve
        if has_only_risen(curve):
            yield f"{where}: no multiplier: it ends with a higher valid loss than it began with"
            continue
        if has_risen(curve):
            share = cost_of_end(curve) / curve.costs[-1]
            yield (
                f"{where}: its valid loss rises: it first had the loss that it ends with at "
                f"{share:.0%} of its cost, which is what others are compared with"
            )
        if reference.fitted is None:
            yield (
                f"{where}: nothing is extrapolated: a fit takes {FEWEST_POINTS} evaluations after "
                f"the warm-up and the first {LATER:.0%} of training, and losses that fall"
            )
