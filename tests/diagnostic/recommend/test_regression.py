"""The regression on its own: truths that were put in, and what follows from its definition."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct

from benchmark.diagnostic.recommend.regression import Kernel, Regression, fit


def test_plentiful_straight_data_give_ordinary_least_squares() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = 1 + x @ [2.0, -1.0] + 0.5 * rng.normal(size=200)
    found = fit(x, y, np.arange(200))
    design = np.column_stack([np.ones(200), x])
    plain, *_ = np.linalg.lstsq(design, y, rcond=None)
    assert found.expected(x) == pytest.approx(design @ plain, abs=0.4)
    assert np.hypot(found.within, found.between) == pytest.approx(0.5, rel=0.15)


def test_a_curve_is_followed_where_there_are_data_and_not_known_beyond() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, size=(120, 1))
    y = 3 * np.abs(x[:, 0]) + 0.3 * rng.normal(size=120)
    found = fit(x, y, np.repeat(np.arange(40), 3))
    places = np.array([[-1.5], [0.0], [1.5]])
    assert found.expected(places) == pytest.approx([4.5, 0.0, 4.5], abs=0.7)
    near, far = found.scale(np.array([[1.0], [6.0]]))
    assert far > 2 * near


def test_sources_with_effects_of_their_own_are_seen() -> None:
    rng = np.random.default_rng(0)
    sources = np.repeat(np.arange(30), 5)
    y = np.repeat(2.0 * rng.normal(size=30), 5) + 0.5 * rng.normal(size=150)
    found = fit(rng.normal(size=(150, 1)), y, sources)
    assert found.between > 1.5 * found.within
    assert found.freedom < 60


def test_it_is_the_usual_gaussian_process() -> None:
    """Against scikit-learn's, whose level has a prior that is wide here, at the same kernel."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    new = rng.normal(size=(5, 3))
    ours = Regression(Kernel(between=0, linear=0.3, smooth=2, length=1.4), x, y, np.arange(30))
    usual = ConstantKernel(0.3) * DotProduct(1e-9) + ConstantKernel(2) * RBF(1.4 * np.sqrt(3))
    theirs = GaussianProcessRegressor(usual + ConstantKernel(1e6), alpha=1, optimizer=None)
    mean, spread = theirs.fit(x, y).predict(new, return_std=True)
    assert ours.expected(new) == pytest.approx(mean, abs=1e-4)
    assert ours.scale(new) / ours.within == pytest.approx(np.sqrt(1 + spread**2), abs=1e-4)


def test_residuals_of_sources_left_out_are_those_of_a_fit_without_them() -> None:
    rng = np.random.default_rng(2)
    x, y, sources = rng.normal(size=(40, 2)), rng.normal(size=40), np.repeat(np.arange(10), 4)
    kernel = Kernel(between=0.5, linear=0.1, smooth=1, length=1)
    found = Regression(kernel, x, y, sources).left_out
    for source in range(10):
        of = sources == source
        other = Regression(kernel, x[~of], y[~of], sources[~of])
        assert found[of] == pytest.approx(y[of] - other.expected(x[of]), abs=1e-8)


def test_what_it_cannot_be_fitted_to() -> None:
    with pytest.raises(ValueError, match="3 sources are fewer than 4"):
        fit(np.zeros((6, 1)), np.zeros(6), [0, 0, 1, 1, 2, 2])
    with pytest.raises(ValueError, match="not finite"):
        fit(np.zeros((4, 1)), [0.0, 1.0, 2.0, np.nan], [0, 1, 2, 3])


def test_gains_that_never_vary_are_foretold() -> None:
    found = fit(np.random.default_rng(0).normal(size=(8, 1)), np.full(8, 3.0), np.arange(8))
    assert found.expected(np.zeros((1, 1))) == pytest.approx([3.0])
    assert found.scale(np.zeros((1, 1)))[0] < 1e-6
