"""Measures against hand-computed numbers, SciPy and simulated signals of known strength."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.diagnostic.intervals import bounds, correlation_bounds, resampled_counts
from benchmark.diagnostic.measures import (
    half_means,
    headroom,
    held_out_curve,
    lengthened,
    persistence,
    random_halves,
    reliability,
    self_alignment,
    spearman,
    top_size,
    transfer,
)

RNG = np.random.default_rng
ONE_SPLIT = np.array([[True, True, False, False]])
ONCE = np.ones(4)


@given(st.integers(0, 10_000), st.booleans())
def test_spearman_is_scipys(seed: int, ties: bool) -> None:
    a, b = RNG(seed).normal(size=(2, 3, 12))
    if ties:
        a, b = a.round(), b.round()
    expected = [stats.spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(spearman(a, b), expected, atol=1e-12)


def test_spearman_of_a_constant_is_undefined() -> None:
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))


@pytest.mark.parametrize("batches", [2, 7, 8])
def test_random_halves_are_halves_and_differ(batches: int) -> None:
    halves = random_halves(batches, 40, RNG(0))
    assert set(halves.sum(axis=1)) == {batches // 2}
    assert len(np.unique(halves, axis=0)) > 1
    with pytest.raises(ValueError, match="1 batch cannot be split"):
        random_halves(1, 3, RNG(0))


def test_half_means_count_batches_and_leave_out_empty_halves() -> None:
    c = np.array([[1.0, 10], [2, 20], [3, 30], [5, 50]])
    halves = np.vstack([ONE_SPLIT, [[True, False, False, False]]])
    one, other = half_means(c, halves, np.array([0.0, 2, 1, 3]))
    # The second split's first half counts nothing.
    np.testing.assert_allclose(one, [[2, 20]])
    np.testing.assert_allclose(other, [[(3 + 15) / 4, (30 + 150) / 4]])


@pytest.mark.parametrize("noise", [0.5, 2.0, 6.0])
def test_reliability_of_a_signal_under_noise(noise: float) -> None:
    rng = RNG(1)
    c = rng.normal(size=4000) + noise * rng.normal(size=(8, 4000))
    found = reliability(c, random_halves(8, 30, rng), np.ones(8))
    # Halves of 4 batches: Pearson's r is 1 / (1 + noise^2 / 4), Spearman's 6/pi asin(r/2).
    expected = 6 / np.pi * np.arcsin(0.5 / (1 + noise**2 / 4))
    assert found == pytest.approx(expected, abs=0.03)


def test_reliability_of_noise_is_none() -> None:
    rng = RNG(2)
    c = rng.normal(size=(8, 2000))
    assert abs(reliability(c, random_halves(8, 30, rng), np.ones(8))) < 0.05


def test_spearman_brown() -> None:
    assert lengthened(0.5, 2) == pytest.approx(2 / 3)
    assert lengthened(lengthened(0.3, 5), 1 / 5) == pytest.approx(0.3)
    assert lengthened(-0.5, 2) == pytest.approx(-2 / 3)


def test_held_out_curve_by_hand() -> None:
    c = np.array([[3.0, 2, 1], [3, 2, 1], [0, 6, 3], [0, 6, 3]])
    curve = held_out_curve(c, ONE_SPLIT, ONCE)
    # The first half ranks 0 1 2 (held out 0 6 3), the second 1 2 0 (held out 2 1 3).
    np.testing.assert_allclose(curve, [(0 + 2) / 2, (3 + 1.5) / 2, (3 + 2) / 2])


def test_self_alignment_uses_other_halves_only() -> None:
    own = 100.0
    t = np.array([[own, own, 1, 3], [own, own, 1, 3], [2, 4, own, own], [2, 4, own, own]])
    batch_of = np.array([0, 1, 2, 3])
    assert self_alignment(t, batch_of, ONE_SPLIT, ONCE) == pytest.approx((3 + 2) / 2)
    # A batch that counts twice counts twice both as rows and as a direction.
    counted = self_alignment(t, batch_of, ONE_SPLIT, np.array([1.0, 2, 1, 1]))
    assert counted == pytest.approx(((2 + 2 * 4) / 3 + 2) / 2)


def test_headroom_is_the_share_of_the_way_to_target_rows() -> None:
    c = np.tile([0.9, 0.1, 0.1, 0.1], (4, 1))
    t = np.full((4, 4), 0.7)
    found = headroom(c, t, np.arange(4), ONE_SPLIT, ONCE, downsampling=4)
    assert (found.top, found.mean, found.self) == pytest.approx((0.9, 0.3, 0.7))
    assert found.share == pytest.approx(0.6 / 0.4)
    no_gap = headroom(c, t - 0.5, np.arange(4), ONE_SPLIT, ONCE, downsampling=4)
    assert np.isnan(no_gap.share)


def test_top_size_is_at_least_one() -> None:
    assert [top_size(rows, 32) for rows in (4, 96, 128)] == [1, 3, 4]


def test_persistence_and_transfer() -> None:
    alignments = np.array([[1.0, 2, 3, 4], [2, 3, 4, 9], [4, 3, 2, 1]])
    np.testing.assert_allclose(persistence(alignments), [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    found = transfer(alignments[0], np.array([0.0, 1, 5, 2]), downsampling=2)
    assert (found.correlation, found.top, found.mean) == pytest.approx((0.8, 3.5, 2.0))


def test_resamples_can_be_split() -> None:
    counts = resampled_counts(2, 500, RNG(0))
    assert (counts == 1).all()
    assert (resampled_counts(8, 500, RNG(0)).sum(axis=1) == 8).all()


def test_bounds_of_a_mean_are_students() -> None:
    draws = RNG(3).normal(size=12)
    replicates = resampled_counts(12, 4000, RNG(4)) @ draws / 12
    low, high = bounds(draws.mean(), replicates, 12)
    expected = stats.t.interval(0.95, 11, draws.mean(), stats.sem(draws))
    # A bootstrap's standard error lacks the factor sqrt(n / (n - 1)).
    np.testing.assert_allclose((low, high), expected, atol=0.06)


def test_bounds_of_a_correlation_stay_within_one() -> None:
    low, high = correlation_bounds(0.95, RNG(5).uniform(0.2, 1.0, 100), 8)
    assert -1 <= low < 0.95 < high <= 1
