"""Random: train on a uniform random subset of the generic corpus.

What: keeps a uniform subset of the size that a filter keeps and trains on it, epoch after epoch.
Source: a floor; it tells what repeating few rows costs, apart from which rows they are.
Defaults: keeps 10%, as the static classifier filter does. Charged for: training only.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from baselines.base import Baseline, Choice, Hyperparameters
from benchmark.errors import UserError
from benchmark.randomness import EpochOrder
from benchmark.task import Batch, Task


class RandomHyperparameters(Hyperparameters):
    """Settings of random."""

    keep: Annotated[float, Field(gt=0, le=1), Choice((0.03, 0.1, 0.3))] = 0.1


class RandomSubset(Baseline):
    """A uniform subset of the generic corpus."""

    name = "random"
    summary = "a uniform subset of the size that a filter keeps"
    Hyperparameters = RandomHyperparameters

    def __init__(self, task: Task, hyperparameters: RandomHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        corpus = len(task.generic)
        kept = int(corpus * hyperparameters.keep)
        if kept < task.batch_size:
            raise UserError(
                f"random: keep {hyperparameters.keep} of {corpus} generic rows is less than "
                f"one batch of {task.batch_size}: raise keep"
            )
        # The front of a shuffled order is a uniform subset, known without storing it.
        self._subset = EpochOrder(corpus, task.seed, "random subset")
        self._order = EpochOrder(kept, task.seed, "random order")

    def batch(self, step: int) -> Batch:
        size = self.task.batch_size
        places = self._order.items(step * size, size)
        return self.task.generic_rows(self._subset.look_up(places))
