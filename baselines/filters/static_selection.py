"""What static filters have in common: choose rows once, then train on them epoch after epoch."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from benchmark.api import Baseline, Batch, Choice, EpochOrder, Hyperparameters, Task, UserError


class StaticHyperparameters(Hyperparameters):
    """Settings of every static filter."""

    keep: Annotated[float, Field(gt=0, le=1), Choice((0.03, 0.1, 0.3))] = 0.1
    """Share of the generic corpus that is kept."""


class StaticSelection(Baseline):
    """Rows of the generic corpus chosen in :meth:`prepare`, in epoch-wise shuffled order."""

    Hyperparameters = StaticHyperparameters
    state = ("kept",)

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        self.kept_count = round(len(task.generic) * hyperparameters.keep)
        if self.kept_count < task.batch_size:
            raise UserError(
                f"{self.name}: keep {hyperparameters.keep} of {len(task.generic)} generic rows is "
                f"less than one batch of {task.batch_size}: raise keep"
            )
        self.kept = np.empty(0, dtype=np.int64)

    @abstractmethod
    def choose(self) -> np.ndarray:
        """Positions of the ``kept_count`` generic rows to train on."""

    def prepare(self) -> None:
        self.kept = np.sort(self.choose())

    def batch(self, step: int) -> Batch:
        size = self.task.batch_size
        order = EpochOrder(len(self.kept), self.task.seed, "kept rows")
        return self.task.generic_rows(self.kept[order.items(step * size, size)])
