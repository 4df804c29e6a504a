"""Drawing rows by their weight, from the logarithm of it: no weight is too small to be one."""

from __future__ import annotations

import torch
from torch import Tensor

HALVINGS = 30
"""Of the interval that the inverse temperature is searched in: to a billionth of it."""


def draw_without_replacement(log_weights: Tensor, count: int, gumbel: Tensor) -> Tensor:
    """``count`` distinct indices, drawn by weight (Gumbel top-k), best first: ``[N] -> [n]``."""
    return torch.topk(log_weights + gumbel, count).indices


def effective_number(log_weights: Tensor) -> Tensor:
    """Exponential of the entropy of weights that sum to one: of N equal ones, N."""
    return torch.exp(-(log_weights.exp() * log_weights).nansum())


def flattened(log_weights: Tensor, least: float) -> Tensor:
    """The weights, or their smallest root under which ``least`` rows are effective: ``[N]``.

    The root is that of a temperature above 1; all weights are equal where none is high enough.
    """
    if least <= 0 or effective_number(log_weights) >= least:
        return log_weights
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = effective_number(torch.log_softmax(middle * log_weights, 0)) >= least
        low, high = (middle, high) if enough else (low, middle)
    return torch.log_softmax(low * log_weights, 0)
