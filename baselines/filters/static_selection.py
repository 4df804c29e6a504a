"""What static filters have in common: choose rows once, then train on them epoch after epoch."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from benchmark.api.baseline import Baseline, Choice, Hyperparameters
from benchmark.api.task import Task
from benchmark.core.errors import UserError
from benchmark.core.randomness import EpochOrder
from benchmark.models.batch import Batch


class StaticHyperparameters(Hyperparameters):
    """Settings of every static filter."""

    keep: Annotated[float, Field(gt=0, le=1), Choice((0.03, 0.1, 0.3))] = 0.1
    """Share of the generic corpus that is kept."""


class StaticSelection(Baseline):
    """Rows of the generic corpus chosen in :meth:`prepare`, in epoch-wise shuffled order."""

    Hyperparameters = StaticHyperparameters

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        self.kept_count = round(len(task.generic) * hyperparameters.keep)
        if self.kept_count < task.batch_size:
            raise UserError(
                f"{self.name}: keep {hyperparameters.keep} of {len(task.generic)} generic rows is "
                f"less than one batch of {task.batch_size}: raise keep"
            )
        self._kept = np.empty(0, dtype=np.int64)

    @abstractmethod
    def choose(self) -> np.ndarray:
        """Positions of the ``kept_count`` generic rows to train on."""

    def prepare(self) -> None:
        self._kept = np.sort(self.choose())

    def batch(self, step: int) -> Batch:
        size = self.task.batch_size
        order = EpochOrder(len(self._kept), self.task.seed, "kept rows")
        return self.task.generic_rows(self._kept[order.items(step * size, size)])

    def state_dict(self) -> dict[str, Any]:
        return {"kept": torch.from_numpy(self._kept)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._kept = state["kept"].cpu().numpy()
