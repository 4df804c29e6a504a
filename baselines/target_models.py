"""Small models that rows are scored by: one of generic text, and a copy adapted to the target.

Neither has dropout. Runs of methods that ask for the same models share them.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from benchmark.api import (
    Choice,
    Hyperparameters,
    LogUniform,
    Task,
    resized,
    train,
    train_once,
    twin,
)


class TargetModelHyperparameters(Hyperparameters):
    """Settings of the models that rows are scored by."""

    scale: Annotated[float, Field(gt=0, le=4)] = 0.5
    """Layers, width and hidden units of both, in units of the main model's; 1: copies of it, with
    its initial weights.
    """

    prior_share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Steps of training on generic rows, as a share of the run's."""

    adaptation_epochs: Annotated[float, Field(gt=0, le=1000), Choice((1.0, 3.0, 10.0))] = 1.0
    """Passes over the target sample."""

    adaptation_rate_factor: Annotated[float, Field(gt=0, le=1000), LogUniform(0.05, 5.0)] = 1.0
    """Peak learning rate of adaptation, in units of the main model's."""


def new_model(task: Task, settings: TargetModelHyperparameters) -> nn.Module:
    """A model of the size that ``settings`` say, before training."""
    model = twin(task.model) if settings.scale == 1 else resized(task, settings.scale, "prior")
    return model.eval()


def train_prior(task: Task, settings: TargetModelHyperparameters, model: nn.Module) -> None:
    """Train a new model on the first batches of pretraining, at the main model's peak rate."""
    steps = round(settings.prior_share * task.steps)
    if steps:
        learn = partial(train, task, model, task.generic_batch, steps, "prior")
        train_once(task, "prior", _of_prior(settings), model, learn)


def adapt(task: Task, settings: TargetModelHyperparameters, prior: nn.Module) -> None:
    """Train a prior on the target sample, with an optimiser of its own."""
    # At least two steps, since the rate of the first is 0.
    steps = max(2, math.ceil(settings.adaptation_epochs * task.target_size / task.batch_size))
    rate, name = settings.adaptation_rate_factor * task.peak_rate, "adaptation"
    batches = partial(task.target_batch, stream=name)
    depends_on = _of_prior(settings) | {"steps": steps, "rate": rate}
    learn = partial(train, task, prior, batches, steps, name, rate=rate)
    train_once(task, name, depends_on, prior, learn)


def _of_prior(settings: TargetModelHyperparameters) -> dict[str, Any]:
    return settings.model_dump(mode="json", include={"scale", "prior_share"})
