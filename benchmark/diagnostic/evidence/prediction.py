"""Predicting some targets from others: by the rule, by single measures, by cheap predictors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from benchmark.diagnostic.evidence.gains import PAIR, QUESTIONS
from benchmark.diagnostic.evidence.models import evaluate, fit_linear, fit_logistic
from benchmark.diagnostic.measures import Array
from benchmark.diagnostic.rule import Fit


@dataclass(frozen=True)
class Prediction:
    """The ``chance`` of a gain and the expected ``gain`` (log ratio) of each cell: ``[n]``."""

    chance: Array
    gain: Array


def fit(cells: pd.DataFrame, question: str, features: Sequence[str]) -> Fit:
    """The models of one question on ``cells``; seeds of one (model, target) share one vote."""
    votes = 1.0 / cells.groupby(PAIR)["seed"].transform("size")
    values, known = cells[question], cells[list(features)]
    return Fit(
        log_odds=fit_logistic(features, known, values > 0, votes),
        gain=fit_linear(features, known, values, votes),
    )


def predict(fitted: Fit, cells: pd.DataFrame) -> Prediction:
    """What a fit says of cells."""
    odds, gain = (
        evaluate(model, cells[list(model.weights)]) for model in (fitted.log_odds, fitted.gain)
    )
    return Prediction(chance=expit(odds), gain=gain)


def predict_left_out(
    cells: pd.DataFrame, question: str, features: Sequence[str], by: str = "target"
) -> Prediction:
    """What is said of each cell by a fit to the cells with another ``by``."""
    chance, gain = np.empty(len(cells)), np.empty(len(cells))
    for group in cells[by].unique():
        left_out = (cells[by] == group).to_numpy()
        found = predict(fit(cells[~left_out], question, features), cells[left_out])
        chance[left_out], gain[left_out] = found.chance, found.gain
    return Prediction(chance, gain)


def log_loss(chance: Array, gain: Array) -> float:
    """Mean negative log likelihood of the answers in nats: log 2 for a coin."""
    likelihood = np.where(gain > 0, chance, 1 - chance)
    return float(-np.log(np.clip(likelihood, 1e-12, None)).mean())


def unexplained(predicted: Array, gain: Array) -> float:
    """Mean squared error over the gains' variance: 1 for their mean, 0 for the gains themselves."""
    return float(((predicted - gain) ** 2).mean() / gain.var())


def compare_candidates(
    cells: pd.DataFrame, candidates: Sequence[Sequence[str]], by: str = "target"
) -> pd.DataFrame:
    """How badly each set of features predicts groups that are left out, the best first.

    ``log_loss`` of the answers and ``unexplained`` variance of the gains, means over `QUESTIONS`
    (one set of features is to serve them all), and their sum ``badness``.
    """
    rows = []
    for features in candidates:
        found = [predict_left_out(cells, question, features, by) for question in QUESTIONS]
        gains = [cells[question].to_numpy() for question in QUESTIONS]
        both = list(zip(found, gains, strict=True))
        rows.append(
            {
                "features": tuple(features),
                "log_loss": np.mean([log_loss(each.chance, gain) for each, gain in both]),
                "unexplained": np.mean([unexplained(each.gain, gain) for each, gain in both]),
            }
        )
    table = pd.DataFrame(rows)
    table["badness"] = table["log_loss"] + table["unexplained"]
    return table.sort_values("badness", kind="stable", ignore_index=True)
