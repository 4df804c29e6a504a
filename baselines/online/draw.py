"""Drawing rows by their weight, from the logarithm of it: no weight is too small to be one."""

from __future__ import annotations

import torch
from torch import Tensor

HALVINGS = 30
"""Of the interval that the inverse temperature is searched in: to a billionth of it."""


def draw_without_replacement(log_weights: Tensor, count: int, gumbel: Tensor) -> Tensor:
    """``count`` distinct indices, drawn by weight (Gumbel top-k), best first: ``[N] -> [n]``."""
    return torch.topk(log_weights + gumbel, count).indices


def entropy(log_weights: Tensor) -> Tensor:
    """Of weights that sum to one, in nats; a weight of zero adds none."""
    return -(log_weights.exp() * log_weights).nansum()


def effective_number(log_weights: Tensor) -> Tensor:
    """Exponential of the entropy of weights that sum to one: of N equal ones, N."""
    return entropy(log_weights).exp()


def flattened(log_weights: Tensor, least: float) -> Tensor:
    """The weights, or their smallest root under which ``least`` rows are effective: ``[N]``.

    The root is that of a temperature above 1; all weights are equal where none is high enough.
    """
    if least <= 0:
        return log_weights
    low, high = (
        torch.full((), end, dtype=torch.float64, device=log_weights.device) for end in (0.0, 1.0)
    )
    for _ in range(HALVINGS):
        # On the device throughout, since whoever asks it whether there are enough waits for it.
        middle = (low + high) / 2
        enough = effective_number(torch.log_softmax(middle * log_weights, 0)) >= least
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    found = torch.log_softmax(low * log_weights, 0)
    return torch.where(effective_number(log_weights) >= least, log_weights, found)
