"""DDS: differentiable data selection, an online bilevel selector with a look-ahead step.

What: a weight network learns to prefer the generic rows whose gradient, in a virtual SGD step of
rate ``look_ahead``, lowers the loss of a target batch; the main model trains on rows drawn by it.
Source: Wang et al. 2020 (arXiv 1911.10088) as arXiv 2311.11973 section 3.2 uses it ("soft" in its
public code); weights are a softmax over the token cells of the sub-batch.
Direction: ``u = -grad L_target(theta - look_ahead * g_w)``, ``g_w`` the weighted generic gradient;
the influences are scaled by the rate, as differentiating through the step does.
Defaults: look-ahead 0.1, Adam 1e-3, convolution 128 x 7, update every step (public code).
Charged for: scoring the big batch, two and a half gradients' worth of work on batch-sized rows.
More: docs/methods/dds.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from baselines.online.selector import BilevelSelector, SelectorHyperparameters
from benchmark.api import (
    Choice,
    RowGradients,
    gradient,
    parameters_of,
    step_along,
    token_share,
)


class DDSHyperparameters(SelectorHyperparameters):
    """Settings of DDS."""

    look_ahead: Annotated[float, Field(ge=0, lt=10), Choice((0.0, 0.1))] = 0.1
    """Rate of the virtual step, and factor on the influences; 0: no step, and factor 1."""


class DDS(BilevelSelector):
    """Differentiable data selection."""

    name = "dds"
    summary = "bilevel selector: virtual SGD step, then the target gradient there"
    style = ("#0072B2", "P", "-")
    Hyperparameters = DDSHyperparameters

    def direction(
        self,
        step: int,  # noqa: ARG002
        generic: RowGradients,
        weights: Tensor,
        target: Tensor,
    ) -> tuple[Mapping[str, Tensor], float | Tensor]:
        rate = self.hyperparameters.look_ahead
        model = self.task.model
        here = parameters_of(model)
        if rate > 0:
            here = step_along(here, generic.combined(weights), -rate)
        loss, ahead = gradient(model, target, token_share(target), at=here, names=self.names)
        self._figures["outer_loss"] = loss
        return {name: -value for name, value in ahead.items()}, rate or 1.0
