"""ANOGRAD: aligned normalised gradients, a bilevel selector without look-ahead or auxiliary vector.

What: the weight network learns to make the weighted generic gradient point along the target
gradient, whatever its length.
Source: arXiv 2311.11973 section 3.2 and its public code: objective
``J = -<g_w, s> / (|g_w| + 1e-6)``, ``g_w`` the weighted generic and ``s`` the target gradient.
Weights: ``softplus(scale) * softmax(score)`` per example, times its share of the tokens.
Defaults: Hessian-free, Adam 1e-3, convolution 128 x 7, update every step (public code).
Charged for: scoring the big batch, two and a half gradients on batch-sized rows; with the Hessian,
a product with it too.
More: docs/methods/anograd.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from baselines.online.selector import BilevelSelector, SelectorHyperparameters
from benchmark.api import Choice, RowGradients, Task, dot, gradient, token_share

EPSILON = 1e-6


class ANOGRADHyperparameters(SelectorHyperparameters):
    """Settings of ANOGRAD."""

    hessian: Annotated[bool, Choice((True, False))] = False
    """Measure the weighted generic gradient by the target loss's Hessian, not by its length."""


class ANOGRAD(BilevelSelector):
    """Aligned normalised gradients."""

    name = "anograd"
    summary = "bilevel selector: aligns the weighted generic gradient with the target's"
    style = ("#7F7F7F", "<", "-")
    Hyperparameters = ANOGRADHyperparameters
    state = (*BilevelSelector.state, "scale", "left_out")

    def __init__(self, task: Task, hyperparameters: ANOGRADHyperparameters) -> None:
        # Softplus of zero; the objective does not depend on it but for the epsilon.
        self.scale = nn.Parameter(torch.zeros((), device=task.device))
        self.left_out = torch.zeros((), dtype=torch.int64, device=task.device)
        self._objective = torch.zeros((), dtype=torch.float64, device=task.device)
        super().__init__(task, hyperparameters)

    def learned(self) -> list[nn.Parameter]:
        return [*super().learned(), self.scale]

    def weigh(self, rows: Tensor) -> Tensor:
        weights = F.softplus(self.scale) * torch.softmax(self.network(rows), 0)
        return weights * token_share(rows)

    def direction(
        self,
        step: int,  # noqa: ARG002
        generic: RowGradients,
        weights: Tensor,
        target: Tensor,
    ) -> tuple[Mapping[str, Tensor], float | Tensor]:
        """``u = <g_w, s> / (n (n + e)^2) K g_w - s / (n + e)``, with ``n = sqrt(<g_w, K g_w>)``.

        ``K`` is the identity or the Hessian. Where ``n`` does not exist, the outer gradient is
        zero, and the update is counted as left out.
        """
        model, share = self.task.model, token_share(target)
        g = bent = generic.combined(weights)
        if self.hyperparameters.hessian:
            goal = RowGradients(model, target, self.names)
            bent = goal.curvature(share, g)
            loss, s = share @ goal.losses, goal.combined(share)
        else:
            loss, s = gradient(model, target, share, names=self.names)
        squared, aligned = dot(g, bent).double(), dot(g, s).double()
        missing = squared <= 0
        self.left_out = self.left_out + missing
        n = torch.where(missing, torch.ones_like(squared), squared).sqrt()
        self._objective = torch.where(missing, self._objective, -aligned / (n + EPSILON))
        self._figures |= {
            "outer_loss": loss,
            "updates_left_out": self.left_out,
            "objective": self._objective,
        }
        along, across = 1 / (n + EPSILON), aligned / (n * (n + EPSILON) ** 2)
        return {name: across * bent[name] - along * s[name] for name in s}, (~missing).float()
