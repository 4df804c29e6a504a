"""Would training on this example help? Gradient inner products without per-example gradients.

With ``l_i`` the loss of example i, ``g_i`` its gradient and ``u`` a direction in parameter space,
:func:`influence` returns ``<g_i, u>`` for all i in one forward-mode pass. No function here builds
a graph of a gradient: there is no double backward. Processes that work together share the rows
out, and each gets the whole result.

A model of which the operations have no forward mode names, in ``central_differences``, the
functions here that take two passes at parameters to either side instead, and are not exact
(`benchmark.models.probe` finds out which).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812 (torch's own convention)
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from benchmark.core.errors import UserError
from benchmark.models.differences import (
    GRADIENT_STEP,
    LOSS_STEP,
    Direction,
    central_difference,
    step_along,
)
from benchmark.models.losses import per_example_loss, token_counts
from benchmark.models.parallel import gather_rows, own_rows, own_weights, sum_over_processes
from benchmark.models.passes import added, in_full_precision, parts_of, scan_parts_of

__all__ = [
    "Direction",
    "approximated",
    "dot",
    "gradient",
    "hessian_by_differences",
    "hessian_product",
    "influence",
    "influence_by_differences",
    "parameters_of",
    "step_along",
]


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name, cut off from any graph."""
    return {name: value.detach() for name, value in model.named_parameters()}


def dot(a: Direction, b: Direction) -> Tensor:
    """Inner product of two directions."""
    return torch.stack([(a[name] * b[name]).sum() for name in a]).sum()


def gradient(
    model: nn.Module,
    rows: Tensor,
    weights: Tensor,
    at: Direction | None = None,
    names: Collection[str] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted loss ``sum_i w_i l_i`` and its gradient at the parameters ``at``.

    ``rows`` ``[n, T]``, ``weights`` ``[n]``; ``at`` defaults to the model's own parameters;
    ``names``: those with respect to which the gradient is taken, by default all.
    """
    start = parameters_of(model) if at is None else at
    point = {
        name: value.detach().requires_grad_(names is None or name in names)
        for name, value in start.items()
    }
    wanted = {name: value for name, value in point.items() if value.requires_grad}
    rows, weights = own_rows(rows), own_weights(weights)

    def of(piece: slice) -> list[Tensor]:
        loss = weights[piece] @ per_example_loss(Functional(model, point), rows[piece])
        return [loss.detach(), *_gradients(loss, wanted)]

    with without_dropout(model):
        total, *sums = sum_over_processes(added(map(of, scan_parts_of(model, rows))))
    return total, dict(zip(wanted, sums, strict=True))


def influence(model: nn.Module, rows: Tensor, direction: Direction) -> Tensor:
    """``<g_i, u>`` for each row i, with ``g_i`` the gradient of its per-example loss.

    Exact, in one forward-mode pass: the loss's derivative along ``direction``. ``[n, T] -> [n]``.

    Raises:
        NotImplementedError: the model has no forward mode, or drops its derivatives without a word.
    """
    if "influence" in approximated(model):
        return influence_by_differences(model, rows, direction)
    count = len(rows)
    rows = own_rows(rows)
    with torch.no_grad(), forward_mode(model):
        moved = Functional(model, duals(parameters_of(model), direction))
        losses = [per_example_loss(moved, rows[piece]) for piece in scan_parts_of(model, rows)]
        tangents = [forward_ad.unpack_dual(each).tangent for each in losses]
    if any(tangent is None for tangent in tangents):
        raise NotImplementedError("the model drops derivatives in forward mode")
    return gather_rows(torch.cat(tangents), count)


def hessian_product(
    model: nn.Module, rows: Tensor, weights: Tensor, direction: Direction
) -> dict[str, Tensor]:
    """``H u`` with ``H`` the Hessian of ``sum_i w_i l_i``: the gradient's derivative along ``u``.

    Forward mode over one backward pass. ``rows`` ``[n, T]``, ``weights`` ``[n]``.

    Raises:
        UserError: the model has no forward mode, and kinks that central differences step over.
    """
    if getattr(model, "without_hessian", False):
        raise UserError(
            "the model has no Hessian product, which this method needs: its operations have no "
            "forward mode over a backward pass, and central differences of its gradients do not "
            "settle; choose another model, or a method without Hessian products"
        )
    if "hessian_product" in approximated(model):
        return hessian_by_differences(model, rows, weights, direction)
    rows, weights = own_rows(rows), own_weights(weights)
    point = {name: value.requires_grad_() for name, value in parameters_of(model).items()}

    def of(piece: slice) -> list[Tensor]:
        moved = Functional(model, duals(point, direction))
        loss = weights[piece] @ per_example_loss(moved, rows[piece])
        return [_tangent(value) for value in _gradients(loss, point)]

    with forward_mode(model):
        tangents = added(map(of, parts_of(model, rows)))
    return dict(zip(point, sum_over_processes(tangents), strict=True))


def hessian_by_differences(
    model: nn.Module,
    rows: Tensor,
    weights: Tensor,
    direction: Direction,
    step: float = GRADIENT_STEP,
) -> dict[str, Tensor]:
    """:func:`hessian_product` of a model that has no forward mode: not exact."""

    def gradient_at(at: Direction) -> dict[str, Tensor]:
        return gradient(model, rows, weights, at)[1]

    with in_full_precision(model):
        return central_difference(gradient_at, parameters_of(model), direction, step)


@torch.no_grad()
def influence_by_differences(model: nn.Module, rows: Tensor, direction: Direction) -> Tensor:
    """:func:`influence` of a model that has no forward mode: ``[n, T] -> [n]``, not exact.

    ``(l_i(theta + h u) - l_i(theta - h u)) / 2h``, without dropout.
    """
    count = len(rows)
    rows = own_rows(rows)

    def losses_at(at: Direction) -> Tensor:
        # Added up in float64, so that little is lost in the difference.
        moved = Functional(model, at)
        losses = [moved(rows[p]).sum(1, dtype=torch.float64) for p in scan_parts_of(model, rows)]
        return torch.cat(losses) / token_counts(rows).clamp(min=1)

    with without_dropout(model), in_full_precision(model):
        found = central_difference(losses_at, parameters_of(model), direction, LOSS_STEP)
    return gather_rows(found.to(torch.get_default_dtype()), count)


def approximated(model: nn.Module) -> tuple[str, ...]:
    """The functions here that go by central differences on this model."""
    named: tuple[str, ...] = getattr(model, "central_differences", ())
    return named


class Functional(nn.Module):
    """The model with other parameters, as a module of its own."""

    def __init__(self, model: nn.Module, parameters: Direction) -> None:
        super().__init__()
        self._call = (model, dict(parameters))

    def forward(self, rows: Tensor) -> Tensor:
        model, parameters = self._call
        losses: Tensor = functional_call(model, parameters, (rows,))
        return losses


def _gradients(loss: Tensor, point: Direction) -> tuple[Tensor, ...]:
    # Not every architecture uses all that it has.
    return torch.autograd.grad(
        loss, list(point.values()), allow_unused=True, materialize_grads=True
    )


def _tangent(dual: Tensor) -> Tensor:
    tangent = forward_ad.unpack_dual(dual).tangent
    return torch.zeros_like(dual) if tangent is None else tangent.detach()


def duals(point: Direction, direction: Direction) -> dict[str, Tensor]:
    """``point`` with ``direction`` as tangents, where it has any."""
    return {
        name: forward_ad.make_dual(value, direction[name]) if name in direction else value
        for name, value in point.items()
    }


@contextmanager
def forward_mode(model: nn.Module) -> Iterator[None]:
    """Inside, the model is computed by operations that have a forward mode, without dropout."""
    # A model may have others of its own. Among torch's attention kernels, only the math one has.
    own: Callable[[], Any] = getattr(model, "differentiable", nullcontext)
    exact = sdpa_kernel(SDPBackend.MATH)
    with own(), without_dropout(model), exact, _Decomposed(), forward_ad.dual_level():
        yield


class _Decomposed(TorchFunctionMode):
    """SiLU from parts whose backward pass has a forward mode; its own has none."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        if func is F.silu:
            return args[0] * torch.sigmoid(args[0])
        return func(*args, **(kwargs or {}))


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
