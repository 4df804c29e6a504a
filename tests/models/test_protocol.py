"""The course of the learning rate, and what a step of the optimiser does."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmark.models.optimisation import build_optimizer
from benchmark.models.protocol import PAPER, OptimiserConfig
from benchmark.study.study import TrainingConfig

Sizes = st.integers(2, 400).flatmap(lambda s: st.tuples(st.just(s), st.integers(1, max(1, s // 2))))
Falling = st.sampled_from(["cosine", "wsd"])
Shares = st.floats(0, 0.9)
PEAK = 0.3


@given(st.sampled_from(["inverse_sqrt", "constant", "cosine", "wsd"]), Sizes)
def test_every_schedule_rises_linearly_to_the_peak_and_never_again(
    schedule: Any, sizes: Any
) -> None:
    steps, warmup = sizes
    config = OptimiserConfig(schedule=schedule)
    rates = [config.rate_at(step, steps, PEAK, warmup) for step in range(steps)]
    for step in range(warmup):
        assert rates[step] == pytest.approx(PEAK * step / warmup)
    assert rates[warmup] == pytest.approx(PEAK)
    after = rates[warmup:]
    assert all(0 < later <= rate + 1e-15 for rate, later in pairwise(after))


@given(Falling, Sizes, Shares)
def test_what_falls_ends_at_its_share_when_all_steps_are_made(
    schedule: Any, sizes: Any, share: float
) -> None:
    steps, warmup = sizes
    config = OptimiserConfig(schedule=schedule, final_share=share)
    assert config.rate_at(steps, steps, PEAK, warmup) == pytest.approx(PEAK * share, abs=1e-12)
    assert config.rate_at(steps - 1, steps, PEAK, warmup) > PEAK * share


@given(Sizes, st.floats(0.01, 0.5))
def test_wsd_stays_and_then_falls_by_equal_amounts(sizes: Any, decay: float) -> None:
    steps, _ = sizes
    config = OptimiserConfig(schedule="wsd", decay_share=decay)
    first = config.falls_from(steps)
    assert steps - first == max(1, round(decay * steps))
    rates = [config.rate_at(step, steps, PEAK, 1) for step in range(steps + 1)]
    assert all(rate == PEAK for rate in rates[1 : first + 1])
    falls = {round(a - b, 12) for a, b in pairwise(rates[first:])}
    assert len(falls) == 1


@given(Sizes)
def test_the_cosine_is_half_way_in_the_middle(sizes: Any) -> None:
    steps, warmup = sizes
    if (steps - warmup) % 2 == 0 and steps > warmup:
        middle = OptimiserConfig(schedule="cosine").rate_at(
            (steps + warmup) // 2, steps, PEAK, warmup
        )
        assert middle == pytest.approx(PEAK / 2)


def test_the_papers_rate_is_what_it_was() -> None:
    assert PAPER.rate_at(400, 500, PEAK, 100) == PEAK * math.sqrt(100 / 400)
    assert PAPER.model_dump() == {}, "the defaults are in no run's key"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"schedule": "step"}, "inverse_sqrt"),
        ({"final_share": 0.1}, "goes with schedule cosine or wsd"),
        ({"schedule": "cosine", "decay_share": 0.5}, "goes with schedule wsd"),
        ({"betas": [0.9]}, "betas"),
        ({"betas": [0.9, 1.0]}, "less than 1"),
        ({"clip_norm": 0}, "greater than 0"),
        ({"weight_decay": -0.1}, "greater than or equal to 0"),
        ({"schedule": "wsd", "warmup": 90}, "end after step 80"),
        ({"schedule": "cosine", "warmup": 100}, "end after step 99"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainingConfig.model_validate({"steps": 100, "warmup": 10} | given)


def test_a_step_is_that_of_torch_with_the_gradient_clipped() -> None:
    config = OptimiserConfig(betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1, clip_norm=0.5)
    ours, theirs = ([torch.nn.Parameter(torch.arange(3.0) + i) for i in range(2)] for _ in range(2))
    optimizer = build_optimizer(ours, config)
    optimizer.param_groups[0]["lr"] = 0.1
    reference = torch.optim.AdamW(theirs, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1)
    for scale in (0.01, 10.0, 1.0):
        gradients = [torch.tensor([1.0, -2.0, 3.0]) * scale * (i + 1) for i in range(2)]
        norm = torch.stack([g.norm() for g in gradients]).norm()
        for mine, other, gradient in zip(ours, theirs, gradients, strict=True):
            mine.grad = gradient.clone()
            other.grad = gradient * min(1.0, 0.5 / float(norm))
        optimizer.step()
        reference.step()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
