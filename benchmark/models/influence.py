"""Would training on this example help? Gradient inner products without per-example gradients.

With ``l_i`` the loss of example i, ``g_i`` its gradient and ``u`` a direction in parameter space,
:func:`influence` returns ``<g_i, u>`` for all i in one forward-mode pass. No function here builds
a graph of a gradient: there is no double backward. Processes that work together share the rows
out, and each gets the whole result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmark.models.losses import per_example_loss
from benchmark.models.parallel import gather_rows, own_rows, own_weights, sum_over_processes

Direction = Mapping[str, Tensor]
"""A vector in parameter space: one tensor for each named parameter of the main model."""


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name, cut off from any graph."""
    return {name: value.detach() for name, value in model.named_parameters()}


def dot(a: Direction, b: Direction) -> Tensor:
    """Inner product of two directions."""
    return torch.stack([(a[name] * b[name]).sum() for name in a]).sum()


def step_along(start: Direction, direction: Direction, rate: float) -> dict[str, Tensor]:
    """``start + rate * direction``."""
    return {name: torch.add(value, direction[name], alpha=rate) for name, value in start.items()}


def gradient(
    model: nn.Module, rows: Tensor, weights: Tensor, at: Direction | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted loss ``sum_i w_i l_i`` and its gradient at the parameters ``at``.

    ``rows`` ``[n, T]``, ``weights`` ``[n]``; ``at`` defaults to the model's own parameters.
    """
    point = {
        name: value.detach().requires_grad_()
        for name, value in (at or parameters_of(model)).items()
    }
    rows, weights = own_rows(rows), own_weights(weights)
    with _without_dropout(model):
        loss = weights @ per_example_loss(_Functional(model, point), rows)
        gradients = torch.autograd.grad(loss, list(point.values()))
    total, *sums = sum_over_processes([loss.detach(), *gradients])
    return total, dict(zip(point, sums, strict=True))


def influence(model: nn.Module, rows: Tensor, direction: Direction) -> Tensor:
    """``<g_i, u>`` for each row i, with ``g_i`` the gradient of its per-example loss.

    Exact, in one forward-mode pass: the loss's derivative along ``direction``. ``[n, T] -> [n]``.
    """
    count = len(rows)
    rows = own_rows(rows)
    # Among torch's attention kernels, only the math one has a forward mode.
    exact = sdpa_kernel(SDPBackend.MATH)
    with torch.no_grad(), _without_dropout(model), exact, forward_ad.dual_level():
        losses = per_example_loss(_Functional(model, _duals(parameters_of(model), direction)), rows)
        tangent: Tensor = forward_ad.unpack_dual(losses).tangent
    return gather_rows(tangent, count)


def hessian_product(
    model: nn.Module, rows: Tensor, weights: Tensor, direction: Direction
) -> dict[str, Tensor]:
    """``H u`` with ``H`` the Hessian of ``sum_i w_i l_i``: the gradient's derivative along ``u``.

    Forward mode over one backward pass. ``rows`` ``[n, T]``, ``weights`` ``[n]``.
    """
    rows, weights = own_rows(rows), own_weights(weights)
    point = {name: value.requires_grad_() for name, value in parameters_of(model).items()}
    exact = sdpa_kernel(SDPBackend.MATH)
    with _without_dropout(model), exact, forward_ad.dual_level():
        loss = weights @ per_example_loss(_Functional(model, _duals(point, direction)), rows)
        gradients = torch.autograd.grad(loss, list(point.values()))
        tangents = [forward_ad.unpack_dual(value).tangent.detach() for value in gradients]
    return dict(zip(point, sum_over_processes(tangents), strict=True))


class _Functional(nn.Module):
    """The model with other parameters, as a module of its own."""

    def __init__(self, model: nn.Module, parameters: Direction) -> None:
        super().__init__()
        self._call = (model, dict(parameters))

    def forward(self, rows: Tensor) -> Tensor:
        model, parameters = self._call
        losses: Tensor = functional_call(model, parameters, (rows,))
        return losses


def _duals(point: Direction, direction: Direction) -> dict[str, Tensor]:
    return {name: forward_ad.make_dual(value, direction[name]) for name, value in point.items()}


@contextmanager
def _without_dropout(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
