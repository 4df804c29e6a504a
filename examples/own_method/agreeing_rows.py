"""Agreeing rows: the rows of each bigger batch whose gradients agree best with the target's.

What: keeps a running mean of the target's gradient, one small target batch a step, and trains on
the generic rows with the highest inner product with it: a step on them lowers the target's loss.
Source: the influence of one SGD step (TracIn, arXiv 2002.08484), with a mean over past steps.
Charged for: one gradient of a target batch and one forward-mode pass over the rows offered, a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from benchmark.api import (
    Baseline,
    Batch,
    Choice,
    Direction,
    DownsamplingHyperparameters,
    Task,
    gradient,
    influence,
    token_share,
)


class AgreeingHyperparameters(DownsamplingHyperparameters):
    """Settings; `downsampling`, the batches of rows that a step looks at, is inherited."""

    memory: Annotated[float, Field(ge=0, lt=1), Choice((0.0, 0.5, 0.9))] = 0.9
    """Weight of the past in the running mean of the target's gradient."""


class AgreeingRows(Baseline):
    """Rows by the inner product of their gradient with the target's."""

    name = "agreeing_rows"
    summary = "of each big batch, the rows whose gradients agree best with the target's"
    Hyperparameters = AgreeingHyperparameters
    # What changes over a run, to be saved and restored: here a mapping of tensors. Without this
    # line, `adaptbench check` finds that a resumed run ends in other bits.
    state = ("mean",)

    def __init__(self, task: Task, hyperparameters: AgreeingHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        self.mean: Direction = {}
        self._agreement: dict[str, float] = {}

    def batch(self, step: int) -> Batch:
        # `gradient` and `influence` run without dropout, and leave the model as it is.
        target = self.task.target_batch(step).rows
        _, now = gradient(self.task.model, target, token_share(target))
        past, memory = self.mean or now, self.hyperparameters.memory
        self.mean = {name: past[name].lerp(now[name], 1 - memory) for name in now}

        big = self.task.big_batch(step, self.hyperparameters.downsampling)
        agreement = influence(self.task.model, big.rows, self.mean)
        best = agreement.topk(self.task.batch_size)
        self._agreement = {
            "agreement/offered": float(agreement.mean()),
            "agreement/chosen": float(best.values.mean()),
        }
        return big.take(best.indices)

    def observe(self, step: int) -> Mapping[str, float]:
        """Figures of this step, for the run's metrics file."""
        del step
        return self._agreement
