"""Gradients of single rows, whole: for what takes more of them than a product with a direction."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmark.models.influence import Direction, gradient, parameters_of
from benchmark.models.losses import token_counts
from benchmark.models.passes import rows_at_once

CHUNK_FLOATS = 2**24
"""Numbers held by one chunk of the vectorised pass."""


def _chunk_rows(model: nn.Module) -> int:
    """Rows whose gradients fit a chunk, at least one."""
    most = max(1, CHUNK_FLOATS // sum(p.numel() for p in model.parameters()))
    return rows_at_once(model, most)


def flat_row_gradients(model: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Gradient of each row's mean token loss at the model's parameters, without dropout.

    ``rows`` ``[n, T]``; gradients ``[n, P]``, parameters flattened in their order, losses ``[n]``
    in nats per token, and whether the pass was vectorised, over chunks of rows. A model that torch
    cannot vectorise is given one row at a time, which is as exact. The caller holds all n x P.
    """
    training = model.training
    model.eval()
    try:
        return _gradients(model, rows)
    finally:
        model.train(training)


def flattened(direction: Direction) -> Tensor:
    """A direction as one vector ``[P]``, parameters in their order."""
    return torch.cat([value.flatten() for value in direction.values()])


def _gradients(model: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor, bool]:
    try:
        # The fused kernels have no vectorised form: torch would loop over rows, and warn.
        with sdpa_kernel(SDPBackend.MATH):
            parts = [_vectorised(model, part) for part in rows.split(_chunk_rows(model))]
        values, losses = (torch.cat(found) for found in zip(*parts, strict=True))
        return values, losses, True
    except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
        if "memory" in str(error):
            raise
    one = torch.ones(1, device=rows.device)
    each = [gradient(model, row[None], one) for row in rows]
    values = torch.stack([flattened(direction) for _, direction in each])
    return values, torch.stack([loss for loss, _ in each]), False


def _vectorised(model: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor]:
    def loss(parameters: dict[str, Tensor], row: Tensor, tokens: Tensor) -> Tensor:
        losses: Tensor = functional_call(model, parameters, (row[None],))
        return losses.sum() / tokens

    tokens = token_counts(rows).clamp(min=1)
    of_rows = vmap(grad_and_value(loss), in_dims=(None, 0, 0))
    gradients, losses = of_rows(parameters_of(model), rows, tokens)
    return torch.cat([value.flatten(1) for value in gradients.values()], 1), losses
