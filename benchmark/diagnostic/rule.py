"""The decision rule: from measures to probabilities, once it has been fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from benchmark.config_file import load_config
from benchmark.diagnostic.intervals import bounds
from benchmark.diagnostic.records import Answer, Estimate, Verdict
from benchmark.diagnostic.summary import MEASURES, Estimated
from benchmark.errors import unknown

NOT_FITTED = "provisional: not fitted"
RULE = Path(str(resources.files("benchmark"))) / "diagnostic" / "rule.yaml"


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Logistic(_Config):
    """``log(p / (1 - p)) = intercept + sum of weight * measure``."""

    intercept: float
    weights: dict[str, float]

    @field_validator("weights")
    @classmethod
    def _measures_exist(cls, weights: dict[str, float]) -> dict[str, float]:
        for name in weights:
            if name not in MEASURES:
                raise ValueError(str(unknown("measure", name, MEASURES)))
        return weights

    def log_odds(self, values: Mapping[str, float]) -> float:
        """NaN if a measure is missing."""
        terms = (weight * values.get(name, math.nan) for name, weight in self.weights.items())
        return self.intercept + sum(terms)


class Question(_Config):
    """Something to be told the probability of."""

    text: str
    fit: Logistic | None


class Rule(_Config):
    """The content of a rule file."""

    status: Literal["provisional: not fitted", "fitted"]
    fitted_on: str | None
    """What the coefficients were fitted on."""
    questions: dict[str, Question]

    @model_validator(mode="after")
    def _says_what_it_is(self) -> Rule:
        fits = [question.fit is not None for question in self.questions.values()]
        if self.status == NOT_FITTED and any(fits):
            raise ValueError(f"status {self.status!r} allows no fit: say on what it was fitted")
        if self.status == "fitted" and not (fits and all(fits) and self.fitted_on):
            raise ValueError("status 'fitted' needs fitted_on and a fit for every question")
        return self

    def judge(self, estimated: Estimated) -> Verdict:
        """Probabilities with intervals, from the measures of the last checkpoint."""
        answers = {
            key: Answer(text=question.text, probability=_probability(question, estimated))
            for key, question in self.questions.items()
        }
        return Verdict(
            status=self.status,
            fitted_on=self.fitted_on,
            answers=answers,
            sentence=sentence(estimated),
        )


def load_rule(file: Path = RULE) -> Rule:
    """Read and validate a rule file.

    Raises:
        UserError: naming the file, the key, the bad value and what is valid.
    """
    return load_config(file, Rule, "a decision rule")


def sentence(estimated: Estimated) -> str:
    """Why: what the measures say against zero, the only threshold that needs no fit."""
    claims = [
        holds if estimated.bounds(name)[0] > 0 else fails
        for name, (holds, fails) in _CLAIMS.items()
    ]
    text = ", ".join(claims[:-1]) + f", and {claims[-1]}."
    return text[0].upper() + text[1:]


_CLAIMS = {
    "reliability": (
        "the sample ranks generic rows reproducibly",
        "the sample is too small to rank generic rows reproducibly",
    ),
    "excess_reliability": (
        "its ranking is more reliable than that by generic text",
        "its ranking is not clearly more reliable than that by generic text",
    ),
    "headroom": (
        "rows chosen by one half of it suit the other half better than the mean row",
        "rows chosen by one half of it do not clearly suit the other half better than the mean row",
    ),
    "transfer_correlation": (
        "the best aligned rows point where fine-tuning goes",
        "the best aligned rows do not clearly point where fine-tuning goes",
    ),
}


def _probability(question: Question, estimated: Estimated) -> Estimate | None:
    """Bounds are found on the scale of log odds, where they cannot leave 0 to 1."""
    if question.fit is None:
        return None
    odds = question.fit.log_odds(estimated.values)
    replicates = [question.fit.log_odds(draw) for draw in estimated.replicates]
    low, high = bounds(odds, replicates, estimated.batches)
    return Estimate.of(_logistic(odds), _logistic(low), _logistic(high))


def _logistic(odds: float) -> float:
    return 0.5 * (1 + math.tanh(odds / 2))
