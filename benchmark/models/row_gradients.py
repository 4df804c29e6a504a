"""The gradients of rows as a linear map, and passes that share what they compute.

With ``g_i`` the gradient of row i's loss and ``G`` the matrix of all of them, ``[n, parameters]``,
selectors ask for ``G^T w``, for ``G u``, for ``G G^T`` and for Hessian products, on the same rows
at the same parameters. :class:`RowGradients` answers all from one forward and one backward pass
where the model can be recorded (`benchmark.models.recording`), and by a pass each of
`benchmark.models.influence` where it cannot. ``G`` itself is never formed there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from benchmark.core.errors import unknown
from benchmark.models.differences import Direction
from benchmark.models.influence import (
    Functional,
    duals,
    forward_mode,
    gradient,
    hessian_product,
    influence,
    parameters_of,
    without_dropout,
)
from benchmark.models.losses import per_example_loss
from benchmark.models.parallel import gather_rows, own_rows, own_weights, sum_over_processes
from benchmark.models.passes import parts_of
from benchmark.models.recording import Operation, Recording, in_single, sum_of_outer_products
from benchmark.models.twice import TwiceDifferentiable
from benchmark.models.whole_gradients import CHUNK_FLOATS, flat_row_gradients


def recordable(model: nn.Module) -> bool:
    """Whether the model says that its operations tell its rows' gradients."""
    return bool(getattr(model, "recordable", False))


def parameters_in(model: nn.Module, parts: Sequence[str]) -> tuple[str, ...]:
    """Names of the model's parameters that begin with one of ``parts``; of all if there are none.

    Raises:
        UserError: no name begins with a part.
    """
    names = tuple(dict(model.named_parameters()))
    for part in parts:
        if not any(_lies_in(name, part) for name in names):
            known = dict.fromkeys(beginning for name in names for beginning in _beginnings(name))
            raise unknown("part", part, known, at="parts: ")
    return tuple(name for name in names if not parts or any(_lies_in(name, part) for part in parts))


def _lies_in(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part}.")


def _beginnings(name: str) -> list[str]:
    """Of ``blocks.0.mlp_in.weight``: ``blocks`` and ``blocks.0``."""
    modules = name.split(".")[:-1]
    return [".".join(modules[:count]) for count in range(1, min(3, len(modules) + 1))]


class RowGradients:
    """Gradients of the losses of ``rows`` ``[n, T]``, without dropout, at the model's parameters.

    ``names`` restricts them to some of the parameters, in every answer; None: all. The first
    question costs a pass, further ones little. Valid until the model is updated.
    """

    def __init__(self, model: nn.Module, rows: Tensor, names: Iterable[str] | None = None) -> None:
        self.model = model
        self.rows = rows
        self.names = tuple(dict(model.named_parameters()) if names is None else names)
        self._uses: list[tuple[Operation, Tensor]] = []
        self._losses: Tensor | None = None

    @property
    def losses(self) -> Tensor:
        """The rows' losses ``[n]``, without a graph."""
        if self._losses is None:
            with torch.no_grad(), without_dropout(self.model):
                rows = own_rows(self.rows)
                each = [per_example_loss(self.model, rows[p]) for p in parts_of(self.model, rows)]
                self._losses = torch.cat(each)
        return gather_rows(self._losses, len(self.rows))

    @classmethod
    def of_pass(
        cls,
        model: nn.Module,
        rows: Tensor,
        names: Iterable[str],
        record: Recording,
        weights: Tensor,
    ) -> RowGradients:
        """Those of a backward pass made anyway, of ``sum_i w_i l_i``; outputs hold their ``grad``.

        ``record`` is that of the parameters ``names``, ``weights`` ``[n]`` of this process's rows.
        """
        made = cls(model, rows, names)
        made._keep(record.operations, [output.grad for output in record.outputs], weights)
        return made

    def serves_update(self, model: nn.Module) -> bool:
        """Whether an update of the model would take the same gradients, and they are at hand."""
        drops = getattr(model, "drops_out", True)
        return bool(self._uses) and not drops and set(self.names) == set(parameters_of(model))

    def combined(self, weights: Tensor) -> dict[str, Tensor]:
        """``sum_i w_i g_i``, by name; ``weights`` ``[n]``."""
        if not self._can_share():
            return gradient(self.model, self.rows, weights, names=self.names)[1]
        self._pass()
        point = parameters_of(self.model)
        total = {name: torch.zeros_like(point[name]) for name in self.names}
        for operation, pull in self._uses:
            for name, part in operation.combined(own_weights(weights), pull).items():
                total[name] += part
        return dict(zip(total, sum_over_processes(list(total.values())), strict=True))

    def along(self, direction: Direction) -> Tensor:
        """``<g_i, u>`` for each row: ``[n]``; ``direction`` has the parameters of ``names``."""
        if not self._can_share():
            return influence(self.model, self.rows, direction)
        self._pass()
        parts = [operation.along(direction, pull) for operation, pull in self._uses]
        return gather_rows(torch.stack(parts).sum(0), len(self.rows))

    def products(self) -> Tensor:
        """``<g_i, g_j>`` of each two rows: ``[n, n]``.

        Holds the rows' gradients of some parameters at a time, ``CHUNK_FLOATS`` numbers; of all
        parameters, where the model cannot be recorded.
        """
        size = len(self.rows)
        total = torch.zeros(size, size, device=self.rows.device, dtype=self.losses.dtype)
        for _, _, each in self.pieces():
            total += each @ each.T
        return total

    def pieces(self) -> Iterator[tuple[str, slice, Tensor]]:
        """The rows' gradients, some numbers after others: ``[n, k]`` of a parameter's ``[slice]``.

        The parameter is flattened. ``CHUNK_FLOATS`` numbers are held at a time; all of them, where
        the model cannot be recorded.
        """
        for name, start, own in self._own_pieces():
            yield name, slice(start, start + own.shape[1]), gather_rows(own, len(self.rows))

    def _own_pieces(self) -> Iterator[tuple[str, int, Tensor]]:
        """Of this process's rows, each with the place of its first number."""
        if not self._can_share():
            flat, _, _ = flat_row_gradients(self.model, own_rows(self.rows))
            whole = parameters_of(self.model)
            parts = flat.split([value.numel() for value in whole.values()], 1)
            yield from ((n, 0, p) for n, p in zip(whole, parts, strict=True) if n in self.names)
            return
        self._pass()
        found = defaultdict(list)
        for operation, pull in self._uses:
            for place, name in operation.names.items():
                found[name].append(operation.factors(place, pull))
        whole = parameters_of(self.model)
        for name, uses in found.items():
            count, width = len(whole[name]), uses[0][1].shape[2]
            size = max(1, CHUNK_FLOATS // (len(uses[0][1]) * width))
            for start in range(0, count, size):
                part = range(start, min(start + size, count))
                # Uses of one parameter add up, as tokens do.
                yield name, start * width, sum_of_outer_products(uses, part).flatten(1)

    def curvature(self, weights: Tensor, direction: Direction) -> dict[str, Tensor]:
        """``H u`` with ``H`` the Hessian of ``sum_i w_i l_i``, by name; ``weights`` ``[n]`` > 0.

        The derivative of a forward-mode pass, on the way of which lies all that the other answers
        need.

        Raises:
            UserError: the model has no Hessian product.
        """
        if not self._can_share():
            return hessian_product(self.model, self.rows, weights, direction)
        rows, own = own_rows(self.rows), own_weights(weights)
        point = {name: value.requires_grad_() for name, value in parameters_of(self.model).items()}
        with forward_mode(self.model), TwiceDifferentiable():
            # Derivatives by tangents are wanted: the first of them are parts of the direction.
            moving = {name: value.detach().requires_grad_() for name, value in direction.items()}
            given = duals(point, moving)
            with Recording({name: given[name] for name in self.names}, rows) as record:
                losses = per_example_loss(Functional(self.model, given), rows)
            dual = forward_ad.unpack_dual(losses)
            self._losses, tangent = dual.primal.detach(), own @ dual.tangent
            moved = [forward_ad.unpack_dual(output).tangent for output in record.outputs]
        wanted = [point[name] for name in self.names]
        found = torch.autograd.grad(tangent, [*wanted, *moved], materialize_grads=True)
        self._keep(record.operations, found[len(wanted) :], own)
        sums = sum_over_processes(list(found[: len(wanted)]))
        return dict(zip(self.names, sums, strict=True))

    def _can_share(self) -> bool:
        """What a pass over all rows leaves is more than those of a micro-batch may hold."""
        whole = len(parts_of(self.model, own_rows(self.rows))) == 1
        return bool(self._uses) or (recordable(self.model) and whole)

    def _keep(
        self, operations: Sequence[Operation], pulls: Sequence[Tensor | None], weights: Tensor
    ) -> None:
        """Note the operations, with derivatives of ``sum_i w_i l_i`` by their outputs."""
        # The loss of a row without tokens is zero, and so is what its weight multiplies.
        each = (1 / torch.where(weights > 0, weights, torch.ones_like(weights))).view(-1, 1, 1)
        self._uses = [
            (operation, in_single(pull) * each)
            for operation, pull in zip(operations, pulls, strict=True)
            if pull is not None
        ]

    def _pass(self) -> None:
        """One forward pass, and the backward pass that no gradient of a parameter is taken in."""
        if self._uses:
            return
        rows = own_rows(self.rows)
        point = {name: value.requires_grad_() for name, value in parameters_of(self.model).items()}
        with without_dropout(self.model), Recording(_some(point, self.names), rows) as record:
            losses = per_example_loss(Functional(self.model, point), rows)
        pulls = torch.autograd.grad(losses.sum(), record.outputs, materialize_grads=True)
        self._losses = losses.detach()
        self._uses = list(zip(record.operations, map(in_single, pulls), strict=True))


def _some(values: Direction, names: Iterable[str]) -> dict[str, Tensor]:
    return {name: values[name] for name in names}
