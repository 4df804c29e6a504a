"""Drawing rows by weight."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.online.draw import draw_without_replacement, effective_number, flattened


def test_no_weight_is_too_small_to_be_drawn_in_its_order() -> None:
    """As probabilities, all but the first would be zero, and their order that of their places."""
    log_weights = torch.tensor([0.0, -600.0, -500.0, -400.0])
    drawn = draw_without_replacement(log_weights, 3, torch.zeros(4))
    assert drawn.tolist() == [0, 3, 2]


def test_effective_number() -> None:
    assert float(effective_number(torch.full((8,), -math.log(8)))) == pytest.approx(8)
    assert float(effective_number(torch.tensor([0.0, -math.inf]))) == pytest.approx(1)


@given(
    st.lists(st.floats(-80, 80), min_size=2, max_size=40),
    st.floats(0, 50),
)
def test_flattening_reaches_its_floor_and_keeps_the_order(
    scores: list[float], least: float
) -> None:
    log_weights = torch.log_softmax(torch.tensor(scores, dtype=torch.float64), 0)
    flat = flattened(log_weights, least)
    assert float(flat.exp().sum()) == pytest.approx(1)
    assert float(effective_number(flat)) >= min(least, len(scores)) * (1 - 1e-6)
    order = log_weights.argsort()
    assert bool((flat[order].diff() >= -1e-12).all())
    if effective_number(log_weights) >= least:
        assert torch.equal(flat, log_weights)
