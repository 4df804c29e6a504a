"""Rows, and batches of them that a model trains on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from benchmark.models.row_gradients import RowGradients


class Rows(Protocol):
    """Token rows that can be gathered by position; satisfied by ``benchmark.data`` views."""

    @property
    def domain_names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def tokens(self, positions: np.ndarray) -> np.ndarray: ...

    def domains(self, positions: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Batch:
    """Examples to train on: ``rows`` ``[n, T]``, and how much each of their tokens counts.

    ``weights`` ``[n]`` are non-negative (all one when None); ``positions`` ``[n]`` are places in
    the generic corpus, -1 for a row of the target sample. ``keep``: names of parameters of which
    the model's update shall keep its rows' gradients; None: of none. ``gradients``: those of the
    rows at the model's present parameters, where the method has taken them already; they spare a
    model without dropout the passes of its update.
    """

    rows: Tensor
    positions: np.ndarray
    weights: Tensor | None = None
    keep: tuple[str, ...] | None = None
    gradients: RowGradients | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Tensor) -> Batch:
        """The sub-batch of the given indices, in their order, without weights."""
        return Batch(self.rows[chosen], self.positions[chosen.cpu().numpy()])
