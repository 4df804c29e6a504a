"""What the tests of domain mixtures and of contrastive selection share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.api.auxiliary import twin
from benchmark.api.baseline import Baseline
from benchmark.api.state import restore, state_of
from benchmark.api.task import Task
from benchmark.core.errors import UserError
from benchmark.methods.registry import check_methods
from benchmark.models.checkpoint import load_checkpoint, save_checkpoint
from benchmark.models.optimisation import build_optimizer, update
from benchmark.study.study import Study
from tests.baselines.tasks import byte_rows, make_task
from tests.conftest import sentences

EASY, HARBOUR, NOISE = 400, 200, 300


class UnequalDomains:
    """Three domains: easy to learn but unrelated, about the target, and incompressible."""

    domain_names = ("easy", "harbour", "noise", "empty")

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
        easy = [("bulb compost " * 5)[start % 13 :][:48] for start in range(EASY)]
        noise = ["".join(rng.choice(letters, 48)) for _ in range(NOISE)]
        self.array = byte_rows(easy + sentences("harbour", HARBOUR, 1) + noise, 48)

    def __len__(self) -> int:
        return len(self.array)

    def tokens(self, positions: np.ndarray) -> np.ndarray:
        return self.array[positions]

    def domains(self, positions: np.ndarray) -> np.ndarray:
        return np.searchsorted([EASY, EASY + HARBOUR], positions, side="right")


def unequal_task(**changes: Any) -> Task:
    """A task on :class:`UnequalDomains` with a target sample about the harbour."""
    target = byte_rows(sentences("harbour", 100, 9), 48)
    return make_task(UnequalDomains(), target, **changes)


def restored(method: Baseline, task: Task, file: Path) -> Baseline:
    """A new method on ``task`` with the state of ``method`` after a trip to the disk."""
    save_checkpoint(file, {"method": state_of(method)})
    fresh = type(method)(task, method.hyperparameters)
    restore(fresh, load_checkpoint(file)["method"])
    return fresh


def charged(task: Task, work: Callable[[], object]) -> float:
    """FLOPs of ``work``."""
    with task.meter.charge("measured"):
        work()
    return task.meter.parts.pop("measured")


def training_step_flops(task: Task) -> float:
    """FLOPs of one training step of a model of the main model's size on one batch."""
    model, batch = twin(task.model), task.generic_batch(0)
    return charged(task, lambda: update(model, build_optimizer([*model.parameters()]), batch, 0.0))


def weights_of(task: Task) -> torch.Tensor:
    """All parameters of the main model in one vector."""
    return torch.cat([value.detach().flatten() for value in task.model.parameters()])


def assert_refused(content: dict[str, Any], method: str, key: str, value: Any) -> None:
    """A study with that hyper-parameter is refused with a message that names it."""
    entry = {"method": method, "hyperparameters": {key: value}}
    with pytest.raises(UserError, match=f"methods.0: {method}: hyperparameters.{key}"):
        check_methods(Study.model_validate(content | {"methods": [entry]}))
