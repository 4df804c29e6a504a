"""Fits of few observations, against independent ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from benchmark.diagnostic.evidence.models import (
    INTERCEPT_SCALE,
    evaluate,
    fit_linear,
    fit_logistic,
)

NAMES = ["reliability", "headroom"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2)) * [0.2, 5.0] + [0.5, -3.0]
ODDS = 8 * (X[:, 0] - 0.5) - 0.3 * (X[:, 1] + 3)
YES = RNG.random(60) < 1 / (1 + np.exp(-ODDS))


def test_logistic_against_scikit_learn() -> None:
    """Both penalise standardised slopes by half their square; ours the intercept a little too."""
    ours = fit_logistic(NAMES, X, YES, np.ones(60))
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    theirs = LogisticRegression(C=1.0, tol=1e-10).fit(z, YES)
    assert evaluate(ours, X) == pytest.approx(theirs.decision_function(z), abs=0.03)


def test_logistic_is_at_the_top_of_its_posterior() -> None:
    weights = np.random.default_rng(1).random(60)
    model = fit_logistic(NAMES, X, YES, weights)
    centre = np.average(X, axis=0, weights=weights)
    spread = np.sqrt(np.average((X - centre) ** 2, axis=0, weights=weights))
    slopes = np.array([model.weights[name] for name in NAMES]) * spread
    residual = weights * (YES - 1 / (1 + np.exp(-evaluate(model, X))))
    intercept = model.intercept + slopes @ (centre / spread)
    assert residual.sum() == pytest.approx(intercept / INTERCEPT_SCALE**2, abs=1e-4)
    assert residual @ ((X - centre) / spread) == pytest.approx(slopes, abs=1e-4)


def test_one_answer_for_all_leaves_a_doubt() -> None:
    model = fit_logistic([], np.empty((4, 0)), np.ones(4), np.ones(4))
    more = fit_logistic([], np.empty((40, 0)), np.ones(40), np.ones(40))
    assert 0 < model.intercept < more.intercept < 6


def test_votes_count_like_copies() -> None:
    twice = fit_logistic(NAMES, np.vstack([X, X]), np.append(YES, YES), np.full(120, 0.5))
    once = fit_logistic(NAMES, X, YES, np.ones(60))
    assert evaluate(twice, X) == pytest.approx(evaluate(once, X), abs=1e-4)


def test_linear_against_scikit_learn() -> None:
    values = 0.1 + X @ [0.4, 0.02] + np.random.default_rng(2).normal(size=60) * 0.01
    ours = fit_linear(NAMES, X, values, np.ones(60))
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    assert evaluate(ours, X) == pytest.approx(Ridge(alpha=1.0).fit(z, values).predict(z))


def test_without_features_the_mean() -> None:
    model = fit_linear([], np.empty((4, 0)), [1.0, 2.0, 3.0, 6.0], np.ones(4))
    assert model.intercept == pytest.approx(3.0)


def test_a_constant_feature_says_nothing() -> None:
    constant = np.column_stack([X[:, 0], np.full(60, 7.0)])
    assert fit_logistic(NAMES, constant, YES, np.ones(60)).weights["headroom"] == 0


def test_an_undefined_measure_is_refused() -> None:
    broken = X.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        fit_linear(NAMES, broken, YES, np.ones(60))
