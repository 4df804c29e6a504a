"""Power laws with a floor, fitted to made-up points."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from benchmark.report.statistics.power_law import fit_power_law, resampled_fits

COSTS = np.linspace(1, 12, 12) * 3e10


@given(st.floats(0, 3), st.floats(0.1, 5), st.floats(0.05, 2))
def test_exact_points_give_the_curve_back(floor: float, scale: float, exponent: float) -> None:
    losses = floor + scale * (COSTS / COSTS[-1]) ** -exponent
    fit = fit_power_law(COSTS, losses)
    assert fit.loss_at(COSTS) == pytest.approx(losses, rel=1e-5)


def test_noisy_points_give_no_worse_a_fit_than_scipy() -> None:
    losses = 1.5 + 0.7 * (COSTS / COSTS[-1]) ** -0.4
    losses += np.random.default_rng(0).normal(scale=0.01, size=12)
    fit = fit_power_law(COSTS, losses)

    def curve(x: np.ndarray, floor: float, scale: float, exponent: float) -> np.ndarray:
        return floor + scale * x**-exponent

    found, _ = scipy.optimize.curve_fit(
        curve, COSTS / COSTS[-1], losses, p0=(1, 1, 0.5), bounds=([0, 0, 0.003], [5, 5, 3])
    )
    theirs = ((curve(COSTS / COSTS[-1], *found) - losses) ** 2).sum()
    assert ((fit.loss_at(COSTS) - losses) ** 2).sum() <= theirs * (1 + 1e-6)


def test_several_curves_are_fitted_as_one_by_one() -> None:
    losses = 2 + np.random.default_rng(0).random((3, 12)) * np.linspace(2, 1, 12)
    together = fit_power_law(COSTS, losses)
    for number, one in enumerate(losses):
        alone = fit_power_law(COSTS, one)
        assert together.loss_at(COSTS)[number] == pytest.approx(alone.loss_at(COSTS))


def test_without_a_floor_two_points_are_met() -> None:
    fit = fit_power_law([1.0, 100.0], [4.0, 2.0], floor=False)
    assert fit.loss_at([1.0, 10.0, 100.0]) == pytest.approx([4.0, 8**0.5, 2.0])
    assert float(fit.floor) == 0


def test_losses_that_rise_have_no_scale() -> None:
    assert float(fit_power_law(COSTS, np.linspace(2, 3, 12)).scale) == 0


def test_a_factor_beyond_the_floor_is_infinite() -> None:
    fit = fit_power_law(COSTS, 1 + (COSTS / COSTS[-1]) ** -0.5)
    assert float(fit.factor_for(0.5)) == pytest.approx(4, rel=1e-5)
    assert float(fit.factor_for(1.0001)) == np.inf


def test_resamples_of_points_without_noise_are_all_the_curve() -> None:
    losses = 1 + (COSTS / COSTS[-1]) ** -0.5
    drawn = resampled_fits(COSTS, losses, 5)
    assert drawn.loss_at(COSTS) == pytest.approx(np.tile(losses, (5, 1)), rel=1e-6)


@pytest.mark.parametrize(
    ("costs", "losses"), [([1.0], [2.0]), ([1.0, 2.0], [3.0]), ([0.0, 1.0], [2.0, 1.0])]
)
def test_what_is_no_curve_is_refused(costs: list[float], losses: list[float]) -> None:
    with pytest.raises(ValueError, match=r"two points|positive"):
        fit_power_law(costs, losses)
