"""Compute multipliers of made-up curves, of which they are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.report.statistics.multiplier import (
    FURTHEST,
    Bounded,
    Curve,
    Reference,
    cost_to_reach,
    equivalent,
    equivalents,
    has_risen,
    multiplier,
    pooled,
    reference_of,
)

COSTS = np.linspace(1, 12, 12) * 3e10
LOSSES = 1.5 + 0.7 * (COSTS / COSTS[-1]) ** -0.3
CURVE = Curve(COSTS, LOSSES)
NOISY = [Curve(COSTS, LOSSES + np.random.default_rng(s).normal(0, 0.003, 12)) for s in range(5)]
curves = st.lists(st.floats(1, 5), min_size=1, max_size=12).map(
    lambda losses: Curve(COSTS[: len(losses)], np.array(losses))
)


def known(curve: Curve) -> Reference:
    return reference_of(curve, np.arange(len(curve.costs)) >= 3, resamples=60)


@pytest.mark.parametrize("times", [0.5, 1.0, 2.5])
def test_a_curve_that_costs_so_many_times_less_has_that_multiplier(times: float) -> None:
    assert multiplier(CURVE, Curve(COSTS / times, LOSSES)).factor == pytest.approx(times)


def test_between_evaluations_a_power_law_is_met() -> None:
    curve = Curve(np.array([1.0, 4.0, 16.0]), np.array([8.0, 4.0, 2.0]))
    assert cost_to_reach(curve, 3.0) == Bounded(pytest.approx((8 / 3) ** 2))
    assert cost_to_reach(curve, 4.0) == Bounded(pytest.approx(4.0))


def test_what_no_evaluation_shows_is_only_bounded() -> None:
    assert cost_to_reach(CURVE, 9.0) == Bounded(COSTS[0], "<")
    assert cost_to_reach(CURVE, LOSSES[0]) == Bounded(COSTS[0])
    assert cost_to_reach(CURVE, 1.0) == Bounded(COSTS[-1], ">")
    single = Curve(COSTS[:1], np.array([1.0]))
    assert multiplier(CURVE, single) == Bounded(pytest.approx(12.0), ">")
    assert multiplier(CURVE, Curve(COSTS[:1], np.array([9.0]))).sign == "<"


@given(curves)
def test_the_reference_itself_has_a_multiplier_of_one(curve: Curve) -> None:
    expected = None if curve.losses[-1] > curve.losses[0] else Bounded(1.0)
    assert multiplier(curve, curve) == expected
    assert equivalent(known(curve), float(curve.losses[-1])) == expected


@given(curves, curves, st.floats(1e-12, 1e12))
def test_the_unit_of_cost_changes_nothing(one: Curve, other: Curve, unit: float) -> None:
    scaled = [Curve(curve.costs * unit, curve.losses) for curve in (one, other)]
    found, again = multiplier(one, other), multiplier(*scaled)
    if found is None or again is None:
        assert found is again
        return
    assert (again.sign, again.factor) == (found.sign, pytest.approx(found.factor))


@pytest.mark.parametrize("times", [1.5, 4.0, 9.0])
def test_a_power_law_is_extrapolated_exactly(times: float) -> None:
    level = 1.5 + 0.7 * times**-0.3
    found = equivalent(known(CURVE), level)
    assert found is not None
    assert (found.sign, found.factor) == ("", pytest.approx(times, rel=1e-3))


def test_nothing_is_extrapolated_beyond_the_stated_factor() -> None:
    beyond = 1.5 + 0.7 * (1.1 * FURTHEST) ** -0.3
    assert equivalent(known(CURVE), beyond) == Bounded(FURTHEST, ">")
    assert equivalent(known(CURVE), 1.0) == Bounded(FURTHEST, ">")


def test_within_the_reference_its_own_curve_is_read_off() -> None:
    assert equivalent(known(CURVE), float(LOSSES[5])) == Bounded(pytest.approx(6 / 12))
    assert equivalent(known(CURVE), 9.0) == Bounded(pytest.approx(1 / 12), "<")


def test_losses_that_rise_or_are_few_are_not_extrapolated() -> None:
    rising = Curve(COSTS, np.linspace(2, 3, 12))
    assert has_risen(Curve(COSTS, np.r_[np.linspace(3, 2, 6), np.linspace(2.1, 2.9, 6)]))
    assert not has_risen(CURVE)
    for curve in (rising, Curve(COSTS[:3], LOSSES[:3])):
        assert equivalent(known(curve), 1.0) is None
        assert math.isnan(equivalents([known(curve)], [1.0]).mean)


def test_bounds_of_some_seeds_bound_the_mean() -> None:
    lower = pooled([[Bounded(2.0), Bounded(8.0, ">")]])
    assert (lower.mean, lower.sign, lower.short) == (pytest.approx(4.0), ">", 0)
    assert math.isnan(lower.low)
    upper = pooled([[Bounded(2.0), Bounded(0.5, "<")]])
    assert (upper.mean, upper.sign, upper.short) == (pytest.approx(1.0), "<", 1)
    assert math.isnan(pooled([[Bounded(2.0, ">"), Bounded(0.5, "<")]]).mean)
    assert math.isnan(pooled([[Bounded(2.0), None]]).mean)
    assert pooled([[]]).runs == 0


def test_four_seeds_or_targets_have_an_interval() -> None:
    factors = [Bounded(factor) for factor in (1.8, 2.0, 2.1, 2.2)]
    seeds, targets = pooled([factors]), pooled([[factor] for factor in factors])
    assert (seeds.kind, targets.kind) == ("seeds", "targets")
    assert seeds.low < 1.9 < seeds.mean < 2.1 < seeds.high
    assert pooled([factors[:3]]).kind == "none"


def test_few_seeds_have_the_interval_of_the_fit_and_more_noise_a_wider_one() -> None:
    level = 1.5 + 0.7 * 2.0**-0.3

    def width(scale: float) -> float:
        noise = np.random.default_rng(1).normal(0, scale, 12)
        found = equivalents([known(Curve(COSTS, LOSSES + noise))], [level])
        assert found.kind == "fit"
        assert found.low <= found.high
        return found.high - found.low

    assert 0 < width(0.001) < width(0.004)
    many = equivalents([known(curve) for curve in NOISY], [level] * 5)
    assert many.kind == "seeds"
    assert many.low < 2.0 < many.high
