"""How every run starts: what torch is told, the main model, and what its method sees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmark.api.cost import CostMeter
from benchmark.api.kept import Kept
from benchmark.api.task import Task
from benchmark.data import PreparedData
from benchmark.models.passes import set_passes
from benchmark.study.contents import require_contents
from benchmark.study.study import RunSpec
from benchmark.tasks import task_kind


def set_up_torch(device: str, threads: int) -> None:
    """Make results bit-identical for the same device and number of threads."""
    torch.set_num_threads(threads)
    if device != "cpu" or threads > 1:
        # A single CPU thread has one order of summation anyway, and this imports a compiler.
        torch.use_deterministic_algorithms(True, warn_only=True)


def initial_model(spec: RunSpec, data: PreparedData, device: str = "cpu") -> nn.Module:
    """The main model as all runs of its model, data and seed start with it, to go to ``device``.

    Raises:
        UserError: a checkpoint that cannot be read, does not fit the rows, or has changed since
            the run was planned; a model or device that cannot be trained as ``training`` says.
    """
    require_contents(spec, data.cache)
    model = task_kind(spec.data).build_model(spec.model, spec.data, data, spec.seed)
    set_passes(model, spec.training, device)
    return model


def task_of(
    spec: RunSpec,
    data: PreparedData,
    model: nn.Module,
    meter: CostMeter,
    kept: Kept | None,
    pause: Callable[[], None],
) -> Task:
    """What the run's method sees of it: of the target, the train sample alone."""
    kind, training = task_kind(spec.data), spec.training
    return Task(
        model=model,
        generic=data.generic,
        target=data.target_train.tokens(np.arange(len(data.target_train))),
        vocabulary_size=data.vocabulary_size,
        batch_size=training.batch,
        big_batch_size=training.big_batch,
        steps=training.steps,
        seed=spec.seed,
        meter=meter,
        learning_rate=training.learning_rate,
        optimiser=training,
        decode=kind.decoder(spec.data),
        image=kind.image(spec.data),
        kept=kept,
        pause=pause,
    )
