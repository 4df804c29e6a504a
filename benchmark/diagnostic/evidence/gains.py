"""What online selection gained over plain pretraining and over the best static method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import pandas as pd

from benchmark.api import OnlineSelector
from benchmark.core.errors import UserError
from benchmark.methods.registry import find_method
from benchmark.report.results.inputs import REFERENCE, StudyResults
from benchmark.report.results.summary import affordable, budgets, training_metrics
from benchmark.study.stages import STAGES

PAIR = ["model", "target"]
CELL = [*PAIR, "seed"]
EQUAL_COST = "equal_cost"
COMPARISONS = ("as_trained", "fine_tuned", EQUAL_COST)
OPPONENTS = ("pretraining", "static")
QUESTIONS = tuple(f"{opponent}_{how}" for opponent in OPPONENTS for how in COMPARISONS)


def gains(results: StudyResults) -> pd.DataFrame:
    """Log ratio of the opponent's loss to that of online selection; above 0: selection is better.

    A row for each (model, target, seed) all of whose runs are done, a column for each of
    `QUESTIONS`, and ``<label>_<comparison>`` for each online selector over pretraining.

    ``as_trained`` and ``fine_tuned`` compare test losses at equal steps; ``equal_cost`` compares
    the last valid losses within the FLOPs of pretraining. Which selector, and which static method
    (any that neither selects online nor is plain pretraining), is the choice that a user can make:
    by mean valid loss over the seeds of the (model, target).

    Raises:
        UserError: the study lacks one of the three kinds of method, or no cell is complete.
    """
    online, static = _labels(results)
    losses = _losses(results)
    complete = losses.groupby(CELL)["label"].transform("nunique") == len(results.methods)
    if not complete.any():
        raise UserError(
            f"study {results.study.study!r}: no (model, target, seed) has all of its "
            f"{len(results.methods)} methods done, so there is no gain to measure yet"
        )
    losses = losses[complete]
    columns = {}
    for comparison in COMPARISONS:
        some = losses[losses["comparison"] == comparison]
        table = some.pivot_table(index=CELL, columns="label", values="loss", dropna=False)
        chosen = {kind: _chosen(some, kind) for kind in (online, static)}
        selection = _losses_of(table, chosen[online])
        columns[f"pretraining_{comparison}"] = np.log(table[REFERENCE] / selection)
        columns[f"static_{comparison}"] = np.log(_losses_of(table, chosen[static]) / selection)
        for label in online:
            columns[f"{label}_{comparison}"] = np.log(table[REFERENCE] / table[label])
    found = pd.DataFrame(columns)
    order = [*QUESTIONS, *(name for name in found.columns if name not in QUESTIONS)]
    return _in_order(found[order].reset_index(), results)


def _in_order(cells: pd.DataFrame, results: StudyResults) -> pd.DataFrame:
    """Models, targets and seeds as the study lists them."""
    study = results.study
    listed: list[Iterable[object]] = [study.models, study.targets, study.seeds]
    places = {
        name: {value: place for place, value in enumerate(values)}
        for name, values in zip(CELL, listed, strict=True)
    }
    return cells.sort_values(CELL, key=lambda c: c.map(places[str(c.name)]), ignore_index=True)


def _labels(results: StudyResults) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels of the online selectors and of the static methods."""
    online, static = [], []
    for entry in results.study.methods:
        if issubclass(find_method(entry.method), OnlineSelector):
            online.append(entry.label)
        elif entry.label != REFERENCE:
            static.append(entry.label)
    if not (online and static and REFERENCE in results.methods):
        raise UserError(
            f"study {results.study.study!r}: gains need {REFERENCE}, an online selector and a "
            f"static method among its methods (got {', '.join(results.methods)})"
        )
    return tuple(online), tuple(static)


def _losses(results: StudyResults) -> pd.DataFrame:
    """A row for each run and comparison: ``loss`` that counts, ``valid`` loss to choose by.

    ``loss`` is missing where not even the first evaluation is within the budget.
    """
    runs = results.stages.rename(columns={"method": "label"})
    parts = [
        runs[runs["stage"] == stage].assign(comparison=comparison, loss=lambda f: f["test_loss"])
        for stage, comparison in zip(STAGES, COMPARISONS, strict=False)
    ]
    parts.append(_at_equal_cost(results))
    columns = [*CELL, "label", "comparison", "loss", "valid_loss"]
    return pd.concat([part[columns] for part in parts], ignore_index=True)


def _at_equal_cost(results: StudyResults) -> pd.DataFrame:
    training = training_metrics(results.metrics, results.stages)
    last = affordable(training, budgets(training, REFERENCE))
    every = training[[*CELL, "method"]].drop_duplicates()
    reached = every.merge(last, on=[*CELL, "method"], how="left")
    reached = reached.rename(columns={"method": "label"})
    return reached.assign(comparison=EQUAL_COST, loss=reached["valid_loss"])


def _chosen(losses: pd.DataFrame, labels: Sequence[str]) -> pd.Series[str]:
    """The label with the best mean valid loss, for each (model, target)."""
    some = losses[losses["label"].isin(labels)]
    means = some.groupby([*PAIR, "label"], sort=False)["valid_loss"].mean().unstack("label")
    return cast("pd.Series[str]", means.idxmin(axis=1))


def _losses_of(table: pd.DataFrame, chosen: pd.Series[str]) -> pd.Series[float]:
    """Of each cell, the loss of the method chosen for its (model, target)."""
    values = [
        table.loc[(model, target, seed), chosen[model, target]]
        for model, target, seed in table.index
    ]
    return pd.Series(values, index=table.index, dtype=float)
