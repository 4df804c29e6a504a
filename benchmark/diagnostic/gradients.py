"""Gradients of single rows, and the mean gradients of batches of them.

A few hundred rows are held at a time, so they are held whole: 4 bytes x rows x parameters, 90 MB
for 192 rows of the ``mini`` preset, 7 GB for those of ``paper``. One backward pass a row then gives
every inner product with every batch, and the norms, which a pass per direction would not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmark.diagnostic.settings import How
from benchmark.models.influence import Direction, gradient, parameters_of
from benchmark.models.losses import token_counts, token_share

CHUNK_FLOATS = 2**24
"""Numbers held by one chunk of the vectorised pass."""


@dataclass(frozen=True)
class RowGradients:
    """``values`` ``[n, P]``: gradients of the per-example losses of n rows, parameters flattened.

    ``losses`` ``[n]``: these losses, in nats per token; ``shares`` ``[n]``: tokens of each row over
    those of all rows; ``how`` they were computed.
    """

    values: Tensor
    losses: Tensor
    shares: Tensor
    how: How

    def norms(self) -> Tensor:
        """Norm of each row's gradient: ``[n]``."""
        norms: Tensor = self.values.norm(dim=1)
        return norms

    def batch_means(self, size: int) -> Tensor:
        """Gradients of the mean token losses of consecutive batches: ``[n / size, P]``.

        Rows that fill no batch are left out.
        """
        whole = len(self.values) // size * size
        shares = self.shares[:whole].view(-1, size)
        weights = shares / shares.sum(1, keepdim=True)
        return torch.bmm(weights[:, None], self.values[:whole].view(len(shares), size, -1))[:, 0]


def row_gradients(model: nn.Module, rows: Tensor) -> RowGradients:
    """The gradient of each row's mean token loss at the model's parameters, without dropout.

    ``rows`` ``[n, T]``. A vectorised pass over chunks of rows; a model that torch cannot vectorise
    is given one row at a time, which is as exact.
    """
    training = model.training
    model.eval()
    try:
        values, losses, how = _gradients(model, rows)
    finally:
        model.train(training)
    return RowGradients(values, losses, token_share(rows), how)


def flattened(direction: Direction) -> Tensor:
    """A direction as one vector ``[P]``, parameters in their order."""
    return torch.cat([value.flatten() for value in direction.values()])


def _gradients(model: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor, How]:
    size = max(1, CHUNK_FLOATS // sum(p.numel() for p in model.parameters()))
    try:
        # The fused kernels have no vectorised form: torch would loop over rows, and warn.
        with sdpa_kernel(SDPBackend.MATH):
            parts = [_vectorised(model, part) for part in rows.split(size)]
        values, losses = (torch.cat(found) for found in zip(*parts, strict=True))
        return values, losses, "vmap"
    except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
        if "memory" in str(error):
            raise
    one = torch.ones(1, device=rows.device)
    each = [gradient(model, row[None], one) for row in rows]
    values = torch.stack([flattened(direction) for _, direction in each])
    return values, torch.stack([loss for loss, _ in each]), "one by one"


def _vectorised(model: nn.Module, rows: Tensor) -> tuple[Tensor, Tensor]:
    def loss(parameters: dict[str, Tensor], row: Tensor, tokens: Tensor) -> Tensor:
        losses: Tensor = functional_call(model, parameters, (row[None],))
        return losses.sum() / tokens

    tokens = token_counts(rows).clamp(min=1)
    of_rows = vmap(grad_and_value(loss), in_dims=(None, 0, 0))
    gradients, losses = of_rows(parameters_of(model), rows, tokens)
    return torch.cat([value.flatten(1) for value in gradients.values()], 1), losses
