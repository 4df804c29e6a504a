"""GREATS: each step, the rows whose joint step is foretold to lower the target loss most.

What: of the big batch, rows are taken one after the other, each time the one whose gradient points
most along the target's, less the step that the rows taken before already make along its own.
Source: Wang et al., NeurIPS 2024 and public code (Jiachen-T-Wang/GREATS): gain of row i
eta <g_i, s> - eta^2 sum_j <g_i, g_j> over the rows j taken, eta the learning rate, s the mean
gradient of target rows, the target loss' Hessian the identity. Here without dropout.
Defaults: half of the rows offered (public code); a batch of target rows (ours).
Charged for: two forward and backward passes, over the rows offered and over the target rows, and
inner products of the former's gradients.
More: docs/methods/greats.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from benchmark.api import (
    SCORING,
    Batch,
    Choice,
    Downsampling,
    DownsamplingHyperparameters,
    OnlineSelector,
    RowGradients,
    Task,
    timed,
)


class GreatsHyperparameters(DownsamplingHyperparameters):
    """Settings of GREATS."""

    downsampling: Annotated[Downsampling, Choice((2, 4, 8, 16))] = 2
    """Rows offered for each row trained on; None: the whole big batch that the study offers."""

    redundancy: Annotated[
        float, Field(ge=0, allow_inf_nan=False), Choice((0.0, 1.0, 30.0, 1000.0))
    ] = 1.0
    """Factor on what rows taken before take off a row's gain; 0: the first-order form."""

    target_rows: Annotated[int | None, Field(ge=1)] = None
    """Target rows of a step; None: a batch."""


class Greats(OnlineSelector):
    """Greedy selection by first-order gain and redundancy."""

    name = "greats"
    summary = "greedily, the rows aligned with the target's gradient and not with each other's"
    style = ("#009E73", "P", "-.")
    Hyperparameters = GreatsHyperparameters

    def __init__(self, task: Task, hyperparameters: GreatsHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        self._figures: dict[str, float | Tensor] = {}

    def batch(self, step: int) -> Batch:
        settings, model = self.hyperparameters, self.task.model
        big = self.task.big_batch(step, settings.downsampling)
        target = self.task.target_batch(step, settings.target_rows, stream="outer").rows
        with timed(SCORING):
            toward = RowGradients(model, target).combined(
                torch.full((len(target),), 1 / len(target), device=target.device)
            )
            offered = RowGradients(model, big.rows)
            alignment = offered.along(toward)
            factor = settings.redundancy * self.task.learning_rate(step)
            products = factor * offered.products() if settings.redundancy else None
        chosen = greedy(alignment, products, self.task.batch_size)
        self._figures = {
            "alignment/offered": alignment.mean(),
            "alignment/chosen": alignment[chosen].mean(),
        }
        return big.take(chosen)

    def observe(self, step: int) -> Mapping[str, float | Tensor]:  # noqa: ARG002
        return self._figures


def greedy(gains: Tensor, products: Tensor | None, count: int) -> Tensor:
    """``count`` distinct indices, each of the largest gain when it is taken.

    Taking row i takes ``products[i]`` off all ``gains`` ``[N]``; ``products`` ``[N, N]``, or None
    for all zeros.
    """
    if products is None:
        return torch.topk(gains, count).indices
    gains, taken = gains.clone(), []
    for _ in range(count):
        taken.append(gains.argmax())
        gains -= products[taken[-1]]
        gains[taken[-1]] = -torch.inf
    return torch.stack(taken)
