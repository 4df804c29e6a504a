"""Linear and logistic models of few, correlated observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit

from benchmark.diagnostic.measures import Array
from benchmark.diagnostic.rule import Linear

INTERCEPT_SCALE, SLOPE_SCALE = 2.5, 1.0
"""Standard deviations of the normal priors on the intercept and on a standardised feature's slope.

Weakly informative (Gelman et al., 2008): a dozen targets may all have the same answer, for which
the likelihood alone would put the probability at 0 or 1.
"""


@dataclass(frozen=True)
class _Scaled:
    """A design matrix of standardised features ``[n, 1 + k]``, and the way back."""

    design: Array
    centre: Array
    spread: Array

    def in_own_units(self, names: Sequence[str], beta: Array) -> Linear:
        slopes = beta[1:] / self.spread
        return Linear(
            intercept=float(beta[0] - slopes @ self.centre),
            weights=dict(zip(names, slopes.tolist(), strict=True)),
        )


def fit_logistic(
    names: Sequence[str], features: ArrayLike, yes: ArrayLike, weights: ArrayLike
) -> Linear:
    """Log odds of ``yes`` ``[n]`` given ``features`` ``[n, len(names)]``: the most probable model.

    ``weights`` ``[n]``: how much of an observation each row is. Coefficients are in the features'
    own units.

    Raises:
        ValueError: a feature is not finite.
    """
    y, w = (np.asarray(each, dtype=float) for each in (yes, weights))
    scaled = _scale(features, w)
    design, scales = scaled.design, np.array([INTERCEPT_SCALE, *[SLOPE_SCALE] * len(names)])

    def loss(beta: Array) -> float:
        odds = design @ beta
        return float(w @ (np.logaddexp(0, odds) - y * odds) + 0.5 * ((beta / scales) ** 2).sum())

    def slope(beta: Array) -> Array:
        return np.asarray(design.T @ (w * (expit(design @ beta) - y)) + beta / scales**2)

    def curvature(beta: Array) -> Array:
        chance = expit(design @ beta)
        return np.asarray((design.T * (w * chance * (1 - chance))) @ design + np.diag(scales**-2))

    start = np.zeros(design.shape[1])
    found = minimize(loss, start, jac=slope, hess=curvature, method="trust-exact")
    return scaled.in_own_units(names, found.x)


def fit_linear(
    names: Sequence[str], features: ArrayLike, values: ArrayLike, weights: ArrayLike
) -> Linear:
    """``values`` ``[n]`` given features, by ridge regression with one observation's worth of prior.

    As `fit_logistic`; the intercept is free.
    """
    y, w = (np.asarray(each, dtype=float) for each in (values, weights))
    scaled = _scale(features, w)
    penalty = np.diag([0.0, *[1.0] * len(names)])
    weighted = scaled.design * w[:, None]
    beta = np.linalg.solve(weighted.T @ scaled.design + penalty, weighted.T @ y)
    return scaled.in_own_units(names, beta)


def _scale(features: ArrayLike, weights: Array) -> _Scaled:
    x = np.asarray(features, dtype=float)
    if not np.isfinite(x).all():
        raise ValueError("a feature is not finite: leave out measures that are undefined")
    centre = np.average(x, axis=0, weights=weights)
    spread = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=weights))
    spread = np.where(spread > 0, spread, 1.0)
    return _Scaled(np.column_stack([np.ones(len(x)), (x - centre) / spread]), centre, spread)


def evaluate(model: Linear, features: ArrayLike) -> Array:
    """The model's value for each row of ``features`` ``[n, k]``, in its order."""
    slopes = np.array(list(model.weights.values()))
    values: Array = model.intercept + np.asarray(features, dtype=float) @ slopes
    return values
