"""Models without a forward mode, or that torch cannot vectorise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.diagnostic.directional import along
from benchmark.diagnostic.gradients import row_gradients
from benchmark.models.config import PRESETS
from benchmark.models.influence import (
    gradient,
    influence,
    influence_by_differences,
    parameters_of,
    step_along,
)
from benchmark.models.losses import token_share
from benchmark.models.transformer import Transformer


class _Opaque(torch.autograd.Function):
    """The identity, with a derivative in reverse mode only."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class ReverseOnly(nn.Module):
    """A model that has neither a forward mode nor a vectorised form."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, rows: Tensor) -> Tensor:
        opaque: Tensor = _Opaque.apply(self.inner(rows))
        return opaque


class Detached(nn.Module):
    """A model whose derivatives are dropped in forward mode without a word."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, rows: Tensor) -> Tensor:
        losses: Tensor = self.inner(rows)
        return losses if torch.is_grad_enabled() else losses.detach()


@pytest.fixture
def mini() -> Transformer:
    model = Transformer(PRESETS["mini"], 256, 32)
    model.initialise(torch.Generator().manual_seed(0))
    return model


@pytest.fixture
def rows() -> Tensor:
    return torch.randint(1, 256, (24, 32), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def direction(mini: Transformer, rows: Tensor) -> dict[str, Tensor]:
    """What a first step of Adam would do."""
    _, found = gradient(mini, rows[:8], token_share(rows[:8]))
    return {name: -value.sign() for name, value in found.items()}


@pytest.mark.parametrize("length", [1e-3, 1.0, 1e3])
def test_central_differences_err_by_about_a_thousandth(
    mini: Transformer, rows: Tensor, direction: dict[str, Tensor], length: float
) -> None:
    zero = {name: torch.zeros_like(value) for name, value in direction.items()}
    scaled = step_along(zero, direction, length)
    exact = influence(mini, rows, scaled)
    error = (influence_by_differences(mini, rows, scaled) - exact).norm() / exact.norm()
    assert 0 < error < 2e-3


@pytest.mark.parametrize("wrapper", [ReverseOnly, Detached])
def test_without_forward_mode_it_falls_back_and_says_so(
    mini: Transformer, rows: Tensor, direction: dict[str, Tensor], wrapper: type[nn.Module]
) -> None:
    model = wrapper(mini)
    there = {f"inner.{name}": value for name, value in direction.items()}
    found, mode = along(model, rows, there)
    exact, exact_mode = along(mini, rows, direction)
    assert (mode, exact_mode) == ("central differences", "forward mode")
    assert (found - exact).norm() / exact.norm() < 2e-3


def test_a_direction_of_length_zero(mini: Transformer, rows: Tensor) -> None:
    zero = {name: torch.zeros_like(value) for name, value in mini.named_parameters()}
    assert not influence_by_differences(mini, rows, zero).any()


def test_without_vmap_rows_are_taken_one_by_one(mini: Transformer, rows: Tensor) -> None:
    alone, together = row_gradients(ReverseOnly(mini), rows), row_gradients(mini, rows)
    assert (alone.how, together.how) == ("one by one", "vmap")
    torch.testing.assert_close(alone.values, together.values, rtol=1e-4, atol=1e-6)


def test_dropout_is_off_and_the_mode_is_kept(mini: Transformer, rows: Tensor) -> None:
    noisy = Transformer(PRESETS["mini"].model_copy(update={"dropout": 0.5}), 256, 32)
    noisy.load_state_dict(mini.state_dict())
    noisy.train()
    torch.testing.assert_close(row_gradients(noisy, rows).values, row_gradients(mini, rows).values)
    assert noisy.training
    here = parameters_of(noisy)
    torch.testing.assert_close(
        influence_by_differences(noisy, rows, here), influence_by_differences(mini, rows, here)
    )
    assert noisy.training
