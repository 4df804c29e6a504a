"""The contract of a method, and nothing else.

A method is one file with one subclass of :class:`Baseline`. It says at each step which examples
the main model trains on; everything it knows it takes from its :class:`~benchmark.api.task.Task`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from benchmark.api.cost import RowFlops
from benchmark.api.task import Task
from benchmark.core.frozen import Frozen
from benchmark.models.batch import Batch


@dataclass(frozen=True)
class Choice:
    """A hyper-parameter to tune over a few values."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """One of the values, uniformly."""
        return self.values[int(rng.integers(len(self.values)))]


@dataclass(frozen=True)
class LogUniform:
    """A hyper-parameter to tune between two positive numbers, uniformly in its logarithm."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """A number between ``low`` and ``high``."""
        return float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))


class Hyperparameters(Frozen):
    """Validated settings of a method; a field annotated with a space above is searched over."""

    @classmethod
    def search_space(cls) -> dict[str, Choice | LogUniform]:
        """The declared space of each hyper-parameter that has one."""
        return {
            name: space
            for name, field in cls.model_fields.items()
            for space in field.metadata
            if isinstance(space, Choice | LogUniform)
        }


class Baseline(ABC):
    """A way of choosing what the main model trains on."""

    name: ClassVar[str]
    """How studies call the method."""

    summary: ClassVar[str]
    """What it does, in one line."""

    Hyperparameters: ClassVar[type[Hyperparameters]] = Hyperparameters

    selects_online: ClassVar[bool] = False
    """Whether it learns, from the main model as it trains, which examples help the target."""

    check_settings: ClassVar[Mapping[str, Any]] = {}
    """Hyper-parameters that make the method quick to check, where its defaults are not."""

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        self.task = task
        self.hyperparameters = hyperparameters

    @classmethod
    def pretraining_steps(cls, hyperparameters: Any, steps: int) -> int:  # noqa: ARG003
        """How many of a run's first steps are plain pretraining, with no state of the method's.

        Such steps are computed once for all runs that share them.
        """
        return 0

    def prepare(self) -> None:  # noqa: B027 (most methods have nothing to prepare)
        """Once, before training: fit a classifier, train a reference model ... (charged)."""

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """The examples that the main model trains on at ``step``, and their weights."""

    def observe(self, step: int) -> Mapping[str, float]:  # noqa: ARG002
        """After the model's update: figures worth recording."""
        return {}

    @property
    def batch_rows(self) -> int:
        """Rows that each batch holds, and so what a step of training costs."""
        return self.task.batch_size

    def selection_flops(self, row: RowFlops) -> float:  # noqa: ARG002
        """Declared FLOPs of all that a whole run does besides training the main model.

        Counts the work of torch in ``prepare``, ``batch`` and ``observe``; what is charged by
        ``meter.charge_flops`` is declared by that.
        """
        return 0.0

    def step_kind(self, step: int) -> str:  # noqa: ARG002
        """Steps of one kind cost the same FLOPs; they are counted once for each kind."""
        return ""

    def state_dict(self) -> dict[str, Any]:
        """All that changes over training: a tree of tensors, numbers, strings and lists."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        if state:
            raise ValueError(f"{self.name} keeps no state but was given {sorted(state)}")
