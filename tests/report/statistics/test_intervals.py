"""Intervals: coverage in simulated studies, and what they do with little data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from benchmark.report.statistics.estimates import Array
from benchmark.report.statistics.intervals import (
    interval_over_pairs,
    interval_over_seeds,
    nested_interval,
)

STUDIES = 2000
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
DISTRIBUTIONS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0),
    "heavy tails": (lambda rng, shape: rng.standard_t(3, size=shape), 0.0),
    "skewed": (lambda rng, shape: rng.exponential(size=shape), 1.0),
}


def coverage(low: Array, high: Array, truth: float) -> float:
    return float(np.mean((low <= truth) & (truth <= high)))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_nominal_95_percent_interval_over_ten_pairs_covers_95_percent(name: str) -> None:
    draw, truth = DISTRIBUTIONS[name]
    values = draw(np.random.default_rng(3), (STUDIES, 10))
    interval = interval_over_pairs(values)
    assert 0.93 <= coverage(interval.low, interval.high, truth) <= 0.97


def test_the_percentile_bootstrap_would_miss_too_often() -> None:
    values = np.random.default_rng(3).normal(size=(STUDIES, 10))
    rng = np.random.default_rng(0)
    counts = rng.multinomial(10, np.full(10, 0.1), size=1999)
    low, high = np.quantile(values @ counts.T / 10, [0.025, 0.975], axis=-1)
    assert coverage(low, high, 0.0) < 0.92


def test_three_seeds_on_six_pairs_cover_the_truth_however_much_pairs_differ() -> None:
    rng = np.random.default_rng(4)
    levels = rng.normal(0, 10, (STUDIES, 6, 1))
    values = levels + rng.normal(size=(STUDIES, 6, 3))
    interval = interval_over_seeds(values - levels.mean(axis=1, keepdims=True))
    assert 0.93 <= coverage(interval.low, interval.high, 0.0) <= 0.98
    # Spread between pairs is none between seeds.
    assert np.median(interval.high - interval.low) < 2 * 2.5 / np.sqrt(18)


def test_no_bound_is_tighter_than_students() -> None:
    values = np.random.default_rng(0).normal(size=12)
    interval = interval_over_pairs(values, confidence=0.9)
    low, high = stats.t.interval(0.9, 11, values.mean(), stats.sem(values))
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low <= low + 1e-12
    assert interval.high >= high - 1e-12


def test_skewed_values_move_the_interval_to_their_long_side() -> None:
    interval = interval_over_pairs(np.exp(np.linspace(-2, 3, 12)))
    assert interval.high - interval.mean > 1.5 * (interval.mean - interval.low)


def test_the_same_seed_gives_the_same_bounds_and_shift_and_scale_carry_over() -> None:
    values = np.random.default_rng(0).normal(size=10)
    one, same, other = (interval_over_pairs(values, seed=seed) for seed in (0, 0, 1))
    assert (one.low, one.high) == (same.low, same.high)
    assert (one.low, one.high) != (other.low, other.high)
    moved = interval_over_pairs(5 - 2 * values)
    assert moved.mean == pytest.approx(5 - 2 * one.mean)
    assert moved.high == pytest.approx(5 - 2 * one.low, rel=0.05)


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0], [[3.0], [4.0]]])
def test_too_few_values_bound_nothing(values: list[float] | list[list[float]]) -> None:
    over = interval_over_seeds if isinstance(values[0], list) else interval_over_pairs
    interval = over(values)
    assert [float(interval.low), float(interval.high)] == [-np.inf, np.inf]


def test_values_without_spread_give_an_interval_of_no_width() -> None:
    interval = interval_over_pairs([0.1] * 7)
    assert (interval.low, interval.high) == (interval.mean, interval.mean)
    assert interval.mean == pytest.approx(0.1)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="finite values; leave out pairs without a result"):
        interval_over_pairs([1.0, np.nan])
    with pytest.raises(ValueError, match="between 0 and 1, got 95"):
        interval_over_pairs([1.0, 2.0], confidence=95)


def test_an_interval_is_over_targets_where_there_are_enough_else_over_seeds() -> None:
    values = np.random.default_rng(0).normal(0, 0.01, (6, 4))
    values[0, 0] = np.nan
    kind, interval = nested_interval(values)
    assert kind == "targets"
    expected = interval_over_pairs(np.nanmean(values, axis=1))
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    kind, interval = nested_interval(values[:3])
    assert kind == "seeds"
    expected = interval_over_seeds(values[:3, 1:])
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert nested_interval(values[1:2, :3]) == ("none", None)
    assert nested_interval(np.full((2, 3), np.nan)) == ("none", None)


def test_what_may_be_tenfold_is_not_bounded() -> None:
    # One pair's seeds spread, the other's hardly: three seeds of one pair, in effect.
    values = np.array([[0.1, 0.2, -0.1], [0.1, 0.1 + 1e-5, 0.1 - 1e-5]])
    assert np.isfinite(interval_over_seeds(values).high)
    assert nested_interval(values) == ("none", None)
