"""Which operations used a model's parameters, so that gradients of rows need no pass of their own.

An operation ``f`` that is linear in its parameters ``W``, such as a matrix product, a look-up or
the scale and shift of a norm, adds ``<b_i, f(x_i; u)>`` to ``<g_i, u>``: ``x_i`` is what it read of
row i, ``b_i`` the derivative of the row's loss by what it gave. A backward pass computes all ``b``
on its way (Goodfellow 2015, arXiv 1510.01799).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)
from torch.overrides import TorchFunctionMode

from benchmark.models.differences import Direction

Arguments = dict[int | str, Any]
"""Those of a call: by place, and by keyword."""

LINEAR_IN: Mapping[Any, frozenset[int | str]] = {
    F.linear: frozenset({1, 2, "weight", "bias"}),
    F.embedding: frozenset({1, "weight"}),
    F.layer_norm: frozenset({2, 3, "weight", "bias"}),
    F.rms_norm: frozenset({2, "weight"}),
}
"""Arguments that an operation is linear in, all of them together."""


class NotRecordableError(Exception):
    """A parameter is used in a way from which gradients of rows cannot be told."""


@dataclass(frozen=True)
class Operation:
    """One use of parameters: ``names`` are those of the arguments that are parameters."""

    function: Callable[..., Tensor]
    arguments: Arguments
    names: dict[int | str, str]

    def along(self, direction: Direction, pull: Tensor) -> Tensor:
        """``<b_i, f(x_i; u)>`` for each row: ``[n]``, with ``pull`` the ``b`` ``[n, T, ...]``."""
        moved = {place: direction[name] for place, name in self.names.items()}
        weight = next((moved[place] for place in (1, "weight") if place in moved), None)
        if self.function is not F.linear or weight is None or weight.shape[0] <= weight.shape[1]:
            return _row_products(pull, self._at(moved))
        # <b, x U^T> = <b U, x>: what is written is as wide as the narrower side.
        found = _row_products(pull @ weight, self.arguments[0])
        shift = next((moved[place] for place in (2, "bias") if place in moved), None)
        return found if shift is None else found + pull.flatten(1, -2).sum(1) @ shift

    def combined(self, weights: Tensor, pull: Tensor) -> dict[str, Tensor]:
        """What the operation adds to ``sum_i w_i g_i``, by name; ``weights`` ``[n]``."""
        pull = pull * weights.view(-1, *[1] * (pull.dim() - 1))
        if self.function is F.linear:
            rows, flat = self.arguments[0].flatten(0, -2), pull.flatten(0, -2)
            return {
                name: flat.T @ rows if place in (1, "weight") else flat.sum(0)
                for place, name in self.names.items()
            }
        with torch.enable_grad():
            own = {place: self.arguments[place].detach().requires_grad_() for place in self.names}
            output = self._call(self.arguments | own)
        parts = torch.autograd.grad(output, list(own.values()), pull)
        return dict(zip(self.names.values(), parts, strict=True))

    def factors(self, place: int | str, pull: Tensor) -> tuple[Tensor, Tensor]:
        """What the operation adds to ``g_i`` by the parameter at ``place``, as a sum over tokens.

        Of the outer products of ``[n, T, p]`` and ``[n, T, q]``; of a look-up, in place of the
        first, the rows ``[n, T]`` of the parameter that it looked at.
        """
        if place not in (1, "weight") or self.function not in (F.linear, F.embedding):
            # Of a norm's scale, or of a shift, each number moves one number of the output.
            unit = self._at({place: torch.ones_like(self.arguments[place])})
            return pull * unit, torch.ones_like(pull[..., :1])
        if self.function is F.linear:
            return pull, self.arguments[0]
        return self.arguments[0], pull

    def _at(self, values: Arguments) -> Tensor:
        """``f(x; values)``, in which arguments that it is linear in are zero where not given."""
        linear = LINEAR_IN[self.function] & self.arguments.keys()
        tensors = [key for key in linear if isinstance(self.arguments[key], Tensor)]
        zeros = {key: torch.zeros_like(self.arguments[key]) for key in tensors if key not in values}
        return self._call(self.arguments | zeros | values)

    def _call(self, arguments: Arguments) -> Tensor:
        places = sorted(key for key in arguments if isinstance(key, int))
        keywords = {key: value for key, value in arguments.items() if isinstance(key, str)}
        return self.function(*[arguments[place] for place in places], **keywords)


def in_single(value: Tensor) -> Tensor:
    """What a pass in bfloat16 gave, in float32: inner products of rounded numbers are exact."""
    return value.float() if value.dtype == torch.bfloat16 else value


def _row_products(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each row of ``a`` with that of ``b``: ``[n, ...]`` twice ``-> [n]``."""
    # A product of a row with a column reads both once, and writes nothing of their size.
    return torch.bmm(a.flatten(1)[:, None], b.flatten(1)[:, :, None])[:, 0, 0]


def sum_of_outer_products(factors: Sequence[tuple[Tensor, Tensor]], part: range) -> Tensor:
    """Of `Operation.factors` over tokens and uses, the ``part`` of p: ``[n, len(part), q]``."""
    products = [pair for pair in factors if pair[0].dim() == 3]
    looked_up = [pair for pair in factors if pair[0].dim() == 2]
    n, _, width = factors[0][1].shape
    total = factors[0][1].new_zeros(n, len(part), width)
    if products:
        left, right = (torch.cat(sides, 1) for sides in zip(*products, strict=True))
        total = left[..., part.start : part.stop].transpose(1, 2) @ right
    for places, pull in looked_up:
        inside = (places >= part.start) & (places < part.stop)
        local = (places - part.start).clamp(0, len(part) - 1)[..., None].expand_as(pull)
        total.scatter_add_(1, local, pull * inside[..., None])
    return total


class Recording(TorchFunctionMode):
    """Inside, each operation on ``parameters`` is noted; the model reads rows ``[n, T]``.

    ``outputs``: what the operations gave, ``[n, T, ...]`` each, with its graph and, in forward
    mode, its tangent.

    Raises:
        NotRecordableError: on an operation that is not known to be linear in a parameter, or of
            which the output is not ``[n, T, ...]``, so that rows could be confused.
    """

    def __init__(self, parameters: Direction, rows: Tensor) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.outputs: list[Tensor] = []
        self._names = {id(value): name for name, value in parameters.items()}
        self._shape = rows.shape

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        result = func(*args, **(kwargs or {}))
        arguments: Arguments = {**dict(enumerate(args)), **(kwargs or {})}
        names = {k: self._names[id(a)] for k, a in arguments.items() if id(a) in self._names}
        if names and _holds_tensors(result):
            self._note(func, arguments, names, result)
        return result

    def _note(
        self, func: Any, arguments: Arguments, names: dict[int | str, str], output: Any
    ) -> None:
        what = f"{getattr(func, '__name__', func)} of {', '.join(names.values())}"
        if not names.keys() <= LINEAR_IN.get(func, frozenset()):
            raise NotRecordableError(f"{what} is not known to be linear in it")
        if output.shape[: len(self._shape)] != self._shape:
            raise NotRecordableError(f"{what} does not keep rows and tokens apart")
        kept = {
            key: in_single(a.detach()) if isinstance(a, Tensor) else a
            for key, a in arguments.items()
        }
        self.operations.append(Operation(func, kept, names))
        self.outputs.append(output)


def _holds_tensors(result: Any) -> bool:
    parts = result if isinstance(result, tuple | list) else (result,)
    return any(isinstance(part, Tensor) for part in parts)
