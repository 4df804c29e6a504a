"""Derivatives of row losses along a direction, also of models without a forward mode."""

from __future__ import annotations

from torch import Tensor, nn

from benchmark.diagnostic.settings import Mode
from benchmark.models.influence import (
    Direction,
    approximated,
    influence,
    influence_by_differences,
)


def along(model: nn.Module, rows: Tensor, direction: Direction) -> tuple[Tensor, Mode]:
    """``<g_i, u>`` of each row i ``[n, T] -> [n]``, and how it was computed.

    Exact in one forward-mode pass; for a model that has no forward mode, two plain forward passes.
    """
    if "influence" in approximated(model):
        return influence(model, rows, direction), "central differences"
    try:
        exact = influence(model, rows, direction)
    except (NotImplementedError, RuntimeError) as error:
        if "memory" in str(error):
            raise
        return influence_by_differences(model, rows, direction), "central differences"
    # An operation may also drop its part of the derivative silently.
    if not exact.any():
        return influence_by_differences(model, rows, direction), "central differences"
    return exact, "forward mode"
