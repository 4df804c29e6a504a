"""The rows that a diagnosis looks at, and what one checkpoint says about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.core.errors import UnmeasurableError
from benchmark.core.randomness import generator
from benchmark.diagnostic.alignment import cosines, one_sided
from benchmark.diagnostic.gradients import RowGradients, row_gradients
from benchmark.diagnostic.measures import Array
from benchmark.diagnostic.settings import How, Normalisation, Settings

if TYPE_CHECKING:
    from benchmark.data import PreparedData


@dataclass(frozen=True)
class Probe:
    """``generic`` ``[m, T]`` rows drawn at random; ``target`` ``[B * size, T]``, batch by batch.

    ``generic_documents`` ``[m]`` and ``target_documents`` ``[B * size]``: what they are rows of.
    """

    generic: Tensor
    target: Tensor
    batches: int
    generic_documents: NDArray[np.int64]
    target_documents: NDArray[np.int64]

    @property
    def batch_rows(self) -> int:
        """Rows in each batch."""
        return len(self.target) // self.batches

    @property
    def batch_of(self) -> NDArray[np.int64]:
        """The batch of each target row: ``[B * size]``."""
        return np.repeat(np.arange(self.batches), self.batch_rows)


def draw_probe(data: PreparedData, settings: Settings, seed: int, device: str) -> Probe:
    """Random generic rows and random disjoint batches of the target's train sample.

    Both are the first rows of a seeded order, so a larger probe holds the smaller one's rows.
    """
    generic = generator(seed, "diagnosis", "generic").permutation(len(data.generic))
    target = target_order(data, seed)
    generic, target = generic[: settings.probe_rows], target[: settings.target_rows]
    return Probe(
        generic=torch.from_numpy(data.generic.tokens(generic)).to(device),
        target=torch.from_numpy(data.target_train.tokens(target)).to(device),
        batches=settings.batches,
        generic_documents=data.generic.documents(generic),
        target_documents=data.target_train.documents(target),
    )


def target_order(data: PreparedData, seed: int) -> NDArray[np.int64]:
    """The rows of the train sample in the order in which probes take them."""
    return generator(seed, "diagnosis", "target").permutation(len(data.target_train))


@dataclass(frozen=True)
class Alignments:
    """What one checkpoint says, in the unit of the normalisation.

    ``generic`` ``[B, m]`` and ``target`` ``[B, k]``: alignment of each generic and target row with
    each target batch. ``null``: the same with generic batches in place of target batches, for the
    first half of the generic rows (batches from the second half) and for the second:
    ``[B, m / 2]`` each; ``target_rows_per_null_row``: how much larger a target batch is.
    ``loss_gap``: mean loss of the target rows less that of the generic rows, in nats per token.
    ``how`` the rows' gradients were computed.
    """

    generic: Array
    target: Array
    batch_of: NDArray[np.int64]
    null: tuple[Array, Array]
    target_rows_per_null_row: float
    loss_gap: float
    how: How

    @property
    def mean_generic(self) -> Array:
        """Mean alignment of each generic row over the batches: ``[m]``."""
        mean: Array = self.generic.mean(axis=0)
        return mean

    @property
    def held_out_target(self) -> Array:
        """Mean alignment of each target row with the batches that do not hold it: ``[k]``."""
        others = np.arange(len(self.target))[:, None] != self.batch_of
        return np.asarray(self.target.mean(axis=0, where=others))


Keep = Callable[[RowGradients, RowGradients], None]
"""Is handed the gradients of the generic and of the target rows, before they are let go."""


def align(
    model: nn.Module,
    probe: Probe,
    normalisation: Normalisation,
    at: str,
    keep: Keep = lambda *_: None,
) -> Alignments:
    """Alignments of the probe's rows at the model's parameters; ``at`` names them in errors.

    Raises:
        UserError: a gradient is not finite.
    """
    generic = finite_gradients(model, probe.generic, f"{at}: generic row")
    target = finite_gradients(model, probe.target, f"{at}: target row")
    keep(generic, target)
    batches = target.batch_means(probe.batch_rows)
    half = len(probe.generic) // 2
    parts = [generic.part(slice(half)), generic.part(slice(half, 2 * half))]
    null_rows = min(probe.batch_rows, half // probe.batches)
    first, second = (
        _aligned(part, other.batch_means(null_rows)[: probe.batches], normalisation)
        for part, other in (parts, reversed(parts))
    )
    return Alignments(
        generic=_aligned(generic, batches, normalisation),
        target=_aligned(target, batches, normalisation),
        batch_of=probe.batch_of,
        null=(first, second),
        target_rows_per_null_row=probe.batch_rows / null_rows,
        loss_gap=float(target.losses.mean() - generic.losses.mean()),
        how=generic.how,
    )


def finite_gradients(model: nn.Module, rows: Tensor, what: str) -> RowGradients:
    """Gradients of ``rows`` ``[n, T]``; ``what`` they are, for errors.

    Raises:
        UnmeasurableError: one is not finite.
    """
    gradients = row_gradients(model, rows)
    finite = gradients.norms().isfinite()
    if not finite.all():
        number = int((~finite).nonzero()[0])
        raise UnmeasurableError(
            f"{what} {number}: the gradient is not finite ({int((~finite).sum())} of {len(rows)} "
            "rows): the model has diverged there; lower training.rate or choose an earlier --at"
        )
    return gradients


def _aligned(rows: RowGradients, batches: Tensor, normalisation: Normalisation) -> Array:
    products, norms = batches @ rows.values.T, batches.norm(dim=1)
    if normalisation == "cosine":
        found = cosines(products, rows.norms(), norms)
    else:
        # Shares of a batch of n rows are about 1 / n: times n, batches of any size compare.
        found = one_sided(products, rows.shares * len(rows.shares), norms)
    return found.double().cpu().numpy()
