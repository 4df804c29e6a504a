"""The decision rule: from measures to probabilities, once it has been fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from benchmark.core.config_file import load_config
from benchmark.core.errors import unknown
from benchmark.core.frozen import Frozen
from benchmark.core.tasks import LANGUAGE_MODELLING
from benchmark.diagnostic.cheap import CHEAP
from benchmark.diagnostic.intervals import bounds
from benchmark.diagnostic.records import Answer, Estimate, Verdict
from benchmark.diagnostic.settings import Settings
from benchmark.diagnostic.summary import MEASURES, Estimated

NOT_FITTED = "provisional: not fitted"
KNOWN = {**MEASURES, **CHEAP}
RULE = Path(str(resources.files("benchmark"))) / "diagnostic" / "rule.yaml"


class Linear(Frozen):
    """``intercept + sum of weight * measure``."""

    intercept: float
    """Value where every measure is 0."""
    weights: dict[str, float]
    """Weight of each measure or predictor without gradients, by its name."""

    @field_validator("weights")
    @classmethod
    def _measures_exist(cls, weights: dict[str, float]) -> dict[str, float]:
        for name in weights:
            if name not in KNOWN:
                raise ValueError(str(unknown("measure", name, KNOWN)))
        return weights

    def __call__(self, values: Mapping[str, float]) -> float:
        """NaN if a measure is missing."""
        terms = (weight * values.get(name, math.nan) for name, weight in self.weights.items())
        return self.intercept + sum(terms)


class Fit(Frozen):
    """``log_odds`` of a gain, and the ``gain`` itself: log ratio of the losses."""

    log_odds: Linear
    gain: Linear


class Question(Frozen):
    """A question that a rule answers."""

    text: str
    """The question, put as the statement whose probability is asked."""
    fit: Fit | None
    """How the answer follows from measures; None: not fitted."""


class Seen(Frozen):
    """The least and the most of what a rule was fitted on; beyond, it knows nothing.

    ``parameters`` of the model, ``steps`` of pretraining, ``sample``: rows of the target's train
    sample; the ``task`` of all of it.
    """

    parameters: tuple[int, int]
    steps: tuple[int, int]
    sample: tuple[int, int]
    task: str = Field(default=LANGUAGE_MODELLING, exclude_if=lambda t: t == LANGUAGE_MODELLING)

    def outside(self, parameters: int, steps: int, sample: int, task: str) -> tuple[str, ...]:
        """What of a study lies outside, in words."""
        other = () if task == self.task else (f"task {task} (seen: {self.task})",)
        named = {
            "parameters of the model": (parameters, self.parameters),
            "steps of pretraining": (steps, self.steps),
            "rows of the target's sample": (sample, self.sample),
        }
        beyond = (
            f"{value:,} {name} (seen: {low:,}{f' to {high:,}' if high > low else ''})"
            for name, (value, (low, high)) in named.items()
            if not low <= value <= high
        )
        return (*other, *beyond)


class Fitted(Frozen):
    """What a rule was fitted on: the targets of a study, diagnosed with ``settings``.

    ``at``: labels of the checkpoints; ``seen`` is None for a rule that does not say.
    """

    study: str
    """Name of the study."""
    targets: tuple[str, ...]
    """Names of the targets."""
    settings: Settings
    at: tuple[str, ...]
    seen: Seen | None = None

    @property
    def words(self) -> str:
        """For a reader of the verdict."""
        return f"{len(self.targets)} targets of the study {self.study}"


class Rule(Frozen):
    """The content of a rule file."""

    status: Literal["provisional: not fitted", "fitted"]
    """Whether its questions have fits."""
    fitted_on: Fitted | None
    """What it was fitted on; None: not fitted."""
    questions: dict[str, Question]
    """The questions, by names that answers go by."""

    @model_validator(mode="after")
    def _says_what_it_is(self) -> Rule:
        fits = [question.fit is not None for question in self.questions.values()]
        if self.status == NOT_FITTED and any(fits):
            raise ValueError(f"status {self.status!r} allows no fit: say on what it was fitted")
        if self.status == "fitted" and not (fits and all(fits) and self.fitted_on):
            raise ValueError("status 'fitted' needs fitted_on and a fit for every question")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """The measures that it uses, in their order; none before it is fitted."""
        fits = [question.fit for question in self.questions.values() if question.fit]
        return tuple(dict.fromkeys(name for fit in fits for name in fit.log_odds.weights))

    def outside(
        self, parameters: int, steps: int, sample: int, task: str = LANGUAGE_MODELLING
    ) -> tuple[str, ...]:
        """What of a study lies outside what the rule was fitted on, as far as it says."""
        seen = self.fitted_on.seen if self.fitted_on else None
        return seen.outside(parameters, steps, sample, task) if seen else ()

    def judge(
        self, estimated: Estimated, cheap: Mapping[str, float], outside: tuple[str, ...] = ()
    ) -> Verdict:
        """Probabilities and gains with intervals, from the measures of the last checkpoint.

        ``cheap``: predictors by the names of `CHEAP`, taken as exact. With anything ``outside`` of
        what the rule has seen (`Rule.outside`), there are none.
        """
        draws = [draw | dict(cheap) for draw in (estimated.values, *estimated.replicates)]
        answers = {
            key: Answer(text=question.text, probability=None)
            if outside
            else _answer(question, draws, estimated.batches)
            for key, question in self.questions.items()
        }
        return Verdict(
            status=self.status,
            fitted_on=self.fitted_on.words if self.fitted_on else None,
            answers=answers,
            sentence=sentence(estimated),
            outside=outside,
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


def _answer(question: Question, draws: Sequence[Mapping[str, float]], batches: int) -> Answer:
    """``draws``: the measures, then those of each resample."""
    if question.fit is None:
        return Answer(text=question.text, probability=None, gain=None)
    # On the scale of log odds, the bounds of a probability cannot leave 0 to 1.
    odds = _with_bounds(question.fit.log_odds, draws, batches)
    return Answer(
        text=question.text,
        probability=Estimate.of(*(_logistic(value) for value in odds)),
        gain=Estimate.of(*_with_bounds(question.fit.gain, draws, batches)),
    )


def _with_bounds(
    model: Linear, draws: Sequence[Mapping[str, float]], batches: int
) -> tuple[float, float, float]:
    value, *replicates = (model(draw) for draw in draws)
    return value, *bounds(value, replicates, batches)


def _logistic(odds: float) -> float:
    return 0.5 * (1 + math.tanh(odds / 2))
