"""SOBA: a bilevel selector that solves for the direction of the hypergradient while it trains.

What: an auxiliary vector ``v`` follows the solution of ``H v = -grad L_target``, one optimiser step
at a time; the weight network learns from the influence of the drawn rows along ``v``.
Source: Dagreou et al. 2022 (arXiv 2201.13409) as arXiv 2311.11973 section 3.2 uses it.
Direction: ``u = v``; ``v`` is trained by the main model's optimiser and schedule on ``H v + s``,
``s`` the target gradient and ``H`` the Hessian of the drawn rows' token-mean loss.
Defaults: Hessian on, Adam 1e-3, convolution 128 x 7, update every step (public code).
Charged for: scoring the big batch, a target gradient, a Hessian product (about three gradients)
and influences on batch-sized rows.
More: docs/methods/soba.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor

from baselines.online.selector import BilevelSelector, SelectorHyperparameters
from benchmark.api import (
    Batch,
    Choice,
    RowGradients,
    Task,
    gradient,
    parameters_of,
    token_share,
)


class SOBAHyperparameters(SelectorHyperparameters):
    """Settings of SOBA."""

    hessian: Annotated[bool, Choice((True, False))] = True
    """Train the auxiliary vector with the Hessian; ``false``: on the target gradient alone."""


class SOBA(BilevelSelector):
    """Stochastic bilevel optimisation with one auxiliary variable."""

    name = "soba"
    summary = "bilevel selector: an auxiliary vector learns the inverse-Hessian target gradient"
    style = ("#CC79A7", "X", "-")
    Hyperparameters = SOBAHyperparameters
    state = (*BilevelSelector.state, "v", "v_optimizer")

    def __init__(self, task: Task, hyperparameters: SOBAHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        own = parameters_of(task.model)
        self.v = {name: torch.nn.Parameter(torch.zeros_like(own[name])) for name in self.names}
        self.v_optimizer = task.optimizer(self.v.values())

    def sub_batch(self, step: int, big: Batch, chosen: Tensor) -> Tensor:  # noqa: ARG002
        rows = self.hyperparameters.sub_batch_rows
        return chosen if rows is None else chosen[:rows]

    def most_sub_batch_rows(self) -> int:
        return self.task.batch_size

    def direction(
        self, step: int, generic: RowGradients, weights: Tensor, target: Tensor
    ) -> tuple[Mapping[str, Tensor], float | Tensor]:
        del weights  # The Hessian is that of the uniform loss the main model trains on.
        for name, value in self.linear_direction(generic, target).items():
            self.v[name].grad = value
        self.v_optimizer.param_groups[0]["lr"] = self.task.learning_rate(step)
        self.v_optimizer.step()
        return {name: value.detach() for name, value in self.v.items()}, 1.0

    def linear_direction(self, generic: RowGradients, target: Tensor) -> dict[str, Tensor]:
        """``H v + s``, what ``v`` descends along; ``s`` alone without the Hessian."""
        loss, direction = gradient(self.task.model, target, token_share(target), names=self.names)
        self._figures["outer_loss"] = loss
        if self.hyperparameters.hessian:
            v = {name: value.detach() for name, value in self.v.items()}
            product = generic.curvature(token_share(generic.rows), v)
            direction = {name: value + product[name] for name, value in direction.items()}
        return direction
