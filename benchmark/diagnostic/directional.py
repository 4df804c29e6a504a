"""Derivatives of row losses along a direction, also of models without a forward mode."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from benchmark.diagnostic.settings import Mode
from benchmark.models.influence import Direction, dot, influence, parameters_of, step_along
from benchmark.models.losses import token_counts

RELATIVE_STEP = 1e-5
"""Length of a central difference's step over that of the parameters.

Measured on the presets ``mini`` and ``small``: relative errors along gradients and fine-tuning
displacements of 5e-4 to 1.4e-3. Ten times shorter steps drown in rounding along random directions,
ten times longer ones cross the kinks of more ReLUs (2e-3 to 5e-3).
"""


def along(model: nn.Module, rows: Tensor, direction: Direction) -> tuple[Tensor, Mode]:
    """``<g_i, u>`` of each row i ``[n, T] -> [n]``, and how it was computed.

    Exact in one forward-mode pass; for a model that has no forward mode, two plain forward passes.
    """
    try:
        exact = influence(model, rows, direction)
    except (NotImplementedError, RuntimeError) as error:
        if "memory" in str(error):
            raise
        return central_difference(model, rows, direction), "central differences"
    # An operation may also drop the derivative silently.
    if exact is None or not exact.any():
        return central_difference(model, rows, direction), "central differences"
    return exact, "forward mode"


@torch.no_grad()
def central_difference(model: nn.Module, rows: Tensor, direction: Direction) -> Tensor:
    """``(l_i(theta + h u) - l_i(theta - h u)) / 2h`` without dropout: ``[n, T] -> [n]``."""
    here = parameters_of(model)
    length = dot(direction, direction).sqrt()
    if not length > 0:
        return torch.zeros(len(rows), device=rows.device)
    step = float(RELATIVE_STEP * dot(here, here).sqrt() / length)
    training = model.training
    model.eval()
    ahead, behind = (
        _losses(model, step_along(here, direction, sign * step), rows) for sign in (1, -1)
    )
    model.train(training)
    return ((ahead - behind) / (2 * step)).to(torch.get_default_dtype())


def _losses(model: nn.Module, parameters: Direction, rows: Tensor) -> Tensor:
    """Per-example losses ``[n]``, added up in float64 so that little is lost in the difference."""
    losses: Tensor = functional_call(model, dict(parameters), (rows,))
    return losses.sum(1, dtype=torch.float64) / token_counts(rows).clamp(min=1)
