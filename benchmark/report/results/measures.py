"""The four ways in which methods are compared, each as one array of losses."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.summary import BUDGETED, affordable, budgets, training_metrics
from benchmark.report.statistics.estimates import Array
from benchmark.study.stages import STAGE_NAMES, STAGES

RUN = ["method", "model", "target", "seed"]


@dataclass(frozen=True)
class Measure:
    """Losses of one kind in nats a token, (methods, pairs, seeds), NaN where there is none.

    ``prefix`` is that of the summary's columns with these losses, in the rows of ``stage``;
    ``split`` is where the losses are read.
    """

    key: str
    name: str
    prefix: str
    stage: str
    split: str
    losses: Array


def measures_of(results: StudyResults) -> tuple[Measure, ...]:
    """As trained and after fine-tuning, on test; at equal FLOPs and at equal seconds, on valid."""
    stages = results.stages
    measures = [
        Measure(
            key=stage,
            name=STAGE_NAMES[stage],
            prefix="test_loss",
            stage=stage,
            split="test",
            losses=_array(results, stages[stages["stage"] == stage], "test_loss"),
        )
        for stage in STAGES
    ]
    training = training_metrics(results.metrics, stages)
    for cost, name in zip(BUDGETED, ("at equal FLOPs", "at equal seconds"), strict=True):
        allowed = affordable(training, budgets(training, results.reference, cost), cost)
        key = f"equal_{cost}"
        losses = _array(results, allowed, "valid_loss")
        measures.append(Measure(key, name, key, STAGES[0], "valid", losses))
    return tuple(measures)


def points(results: StudyResults, measures: tuple[Measure, ...]) -> pd.DataFrame:
    """Every loss: a row for each (measure, model, target, method, seed), empty without a result."""
    index = _runs(results)
    frames = [
        pd.DataFrame({"measure": m.key, "split": m.split, "loss": m.losses.ravel()}, index=index)
        for m in measures
    ]
    return pd.concat(frames).reset_index()[["measure", "split", *RUN, "loss"]]


def _array(results: StudyResults, frame: pd.DataFrame, loss: str) -> Array:
    ordered = frame.set_index(RUN)[loss].reindex(_runs(results))
    shape = (len(results.methods), len(results.pairs), len(results.study.seeds))
    return ordered.to_numpy(dtype=float).reshape(shape)


def _runs(results: StudyResults) -> pd.MultiIndex:
    runs = [
        (method, *pair, seed)
        for method in results.methods
        for pair in results.pairs
        for seed in results.study.seeds
    ]
    return pd.MultiIndex.from_tuples(runs, names=RUN)
