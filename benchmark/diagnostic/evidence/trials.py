"""Predictors put to the test: on each target left out, on each corpus left out, on new targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.diagnostic.cheap import CHEAP
from benchmark.diagnostic.evidence.gains import QUESTIONS
from benchmark.diagnostic.evidence.prediction import (
    Prediction,
    fit,
    log_loss,
    predict,
    predict_left_out,
)
from benchmark.diagnostic.evidence.scores import SCORES, Score, difference, resampled_counts, score
from benchmark.diagnostic.rule import Rule
from benchmark.diagnostic.summary import MEASURES

RULE, ALWAYS_YES, BASE_RATE = "rule", "always yes", "base rate"
TARGETS, CORPORA, NEW = "targets left out", "corpora left out", "new targets"
THEMSELVES = "nothing fitted"


@dataclass(frozen=True)
class Trial:
    """``cells`` and, by question and predictor, what was said of them; by which ``scores``."""

    name: str
    cells: pd.DataFrame
    predictions: dict[str, dict[str, Prediction]]
    scores: tuple[str, ...] = tuple(SCORES)


def trials(cells: pd.DataFrame, rule: Rule) -> list[Trial]:
    """Leave-one-out over targets and over corpora; targets that the rule left out, if any.

    In the first two the rule is its features, fitted to the other targets or corpora; on new
    targets it is the rule as it is, and the other predictors are fitted to what it was fitted to.
    A fit to the others is a little too low where the one left out is high, and so ranks an
    uninformative predictor below chance: hence a last trial, of the measures themselves, by rank.
    """
    features = {RULE: rule.features, **_singles(cells), BASE_RATE: ()}
    found = [
        _trial(
            name,
            cells,
            {
                question: {
                    who: predict_left_out(cells, question, used, by)
                    for who, used in features.items()
                }
                for question in QUESTIONS
            },
        )
        for name, by in ((TARGETS, "target"), (CORPORA, "corpus"))
    ]
    seen = cells["target"].isin(rule.fitted_on.targets if rule.fitted_on else ())
    if seen.any() and not seen.all():
        found.append(_on_new(cells[seen], cells[~seen].reset_index(drop=True), rule))
    return [*found, _themselves(cells, rule)]


def _themselves(cells: pd.DataFrame, rule: Rule) -> Trial:
    """Every single measure as its own prediction, and the rule as it is."""
    values = {name: cells[name].to_numpy() for name in _singles(cells)}
    singles = {name: Prediction(value, value) for name, value in values.items()}
    predictions = {}
    for question in QUESTIONS:
        fitted = rule.questions[question].fit
        known = {RULE: predict(fitted, cells)} if fitted else {}
        predictions[question] = known | singles
    return Trial(THEMSELVES, cells, predictions, scores=("ROC AUC", "Spearman"))


def _on_new(seen: pd.DataFrame, new: pd.DataFrame, rule: Rule) -> Trial:
    features = {**_singles(pd.concat([seen, new])), BASE_RATE: ()}
    predictions = {}
    for question in QUESTIONS:
        fitted = rule.questions[question].fit
        known = {RULE: predict(fitted, new)} if fitted else {}
        others = {who: predict(fit(seen, question, used), new) for who, used in features.items()}
        predictions[question] = known | others
    return _trial(NEW, new, predictions)


def _trial(name: str, cells: pd.DataFrame, found: dict[str, dict[str, Prediction]]) -> Trial:
    ones = np.ones(len(cells))
    yes = {ALWAYS_YES: Prediction(chance=ones, gain=np.zeros(len(cells)))}
    return Trial(name, cells, {question: each | yes for question, each in found.items()})


def _singles(cells: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    known = (*MEASURES, *CHEAP)
    return {name: (name,) for name in known if cells[name].notna().all()}


def scored(trial: Trial) -> pd.DataFrame:
    """A row for each question, predictor and score: ``value``, ``low`` and ``high`` (95%).

    Accuracy and ROC AUC are of the chances, Spearman's correlation is of expected gains and gains;
    the log loss has no bounds. ``than_cheap`` says how much better than the best of the cheap
    predictors, chosen in hindsight, each is by that score, with ``than_cheap_low`` and ``_high``.
    """
    counts = resampled_counts(trial.cells["target"].to_numpy(dtype=str))
    rows: list[dict[str, object]] = []
    for question, predictions in trial.predictions.items():
        gain = trial.cells[question].to_numpy()
        for name in trial.scores:
            said = {who: _said(name, each) for who, each in predictions.items()}
            values = {who: score(name, each, gain, counts) for who, each in said.items()}
            best = _best(values, tuple(CHEAP))
            for who, value in values.items():
                better = difference(name, said[who], said[best], gain, counts)
                rows.append(_row(trial.name, question, who, name, value) | _than(best, better))
        if tuple(SCORES) != trial.scores:
            continue
        for who, each in predictions.items():
            loss = Score(log_loss(each.chance, gain), np.nan, np.nan)
            rows.append(_row(trial.name, question, who, "log loss", loss))
    return pd.DataFrame(rows)


def _said(name: str, prediction: Prediction) -> np.ndarray:
    return prediction.gain if name == "Spearman" else prediction.chance


def _best(values: dict[str, Score], among: Sequence[str]) -> str:
    def key(who: str) -> float:
        value = values[who].value
        return value if np.isfinite(value) else -np.inf

    return max(among, key=key)


def _row(trial: str, question: str, who: str, name: str, found: Score) -> dict[str, object]:
    return {
        "trial": trial,
        "question": question,
        "predictor": who,
        "score": name,
        "value": found.value,
        "low": found.low,
        "high": found.high,
    }


def _than(best: str, better: Score) -> dict[str, object]:
    return {
        "best_cheap": best,
        "than_cheap": better.value,
        "than_cheap_low": better.low,
        "than_cheap_high": better.high,
    }
