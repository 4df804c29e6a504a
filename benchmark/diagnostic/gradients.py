"""Gradients of single rows, and the mean gradients of batches of them.

A few hundred rows are held at a time, so they are held whole: 4 bytes x rows x parameters, 90 MB
for 192 rows of the ``mini`` preset, 7 GB for those of ``paper``. One backward pass a row then gives
every inner product with every batch, and the norms, which a pass per direction would not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.diagnostic.settings import How
from benchmark.models.losses import token_share
from benchmark.models.whole_gradients import flat_row_gradients


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

    def part(self, rows: slice | NDArray[np.int64]) -> RowGradients:
        """Those of some of the rows, as a batch of their own."""
        at = rows if isinstance(rows, slice) else torch.from_numpy(rows).to(self.values.device)
        shares = self.shares[at]
        return replace(
            self, values=self.values[at], losses=self.losses[at], shares=shares / shares.sum()
        )

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
    values, losses, vectorised = flat_row_gradients(model, rows)
    return RowGradients(values, losses, token_share(rows), "vmap" if vectorised else "one by one")
