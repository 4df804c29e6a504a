"""Linear regression of few observations from few sources, and how uncertain it is.

``y = a + x b + (of the source) + (of the observation)``. Slopes have a normal prior around 0 and
are thereby shrunk; targets of one source share an effect of their own. How much shrinkage and how
much of the spread lies between sources are averaged over a grid, weighted by the likelihood that
is restricted to what the intercept leaves (REML; Patterson and Thompson, 1971).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.float64]
BETWEEN = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Variance between sources, relative to that within one."""
SHRINKAGE = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
"""Precision of a standardised slope, relative to that of an observation."""
FEWEST = 4
"""Sources, at least."""


@dataclass(frozen=True)
class Posterior:
    """``coefficients`` ``[1 + k]``, intercept first, and their ``covariance``.

    ``within`` and ``between``: standard deviations of an observation and of a source;
    ``freedom``: of Student's distribution of a prediction.
    """

    coefficients: Array
    covariance: Array
    within: float
    between: float
    freedom: float


def fit(x: ArrayLike, y: ArrayLike, sources: ArrayLike) -> Posterior:
    """The regression of ``y`` ``[n]`` on standardised ``x`` ``[n, k]``; ``sources`` ``[n]``.

    Raises:
        ValueError: there are fewer than `FEWEST` sources, or a number is not finite.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    names, member = np.unique(np.asarray(sources), return_inverse=True)
    if len(names) < FEWEST:
        raise ValueError(f"{len(names)} sources are fewer than {FEWEST}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a number is not finite")
    together = (member[:, None] == member[None, :]).astype(float)
    grid = list(product(BETWEEN, SHRINKAGE))
    scores = np.array([_likelihood(x, y, together, *place) for place in grid])
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    # Means on a scale on which 0 is possible, and on that of the logarithm.
    between = float(np.expm1(weights @ np.log1p([place[0] for place in grid])))
    shrinkage = float(np.exp(weights @ np.log([place[1] for place in grid])))
    return _posterior(x, y, together, len(names), between, shrinkage)


def _likelihood(x: Array, y: Array, together: Array, between: float, shrinkage: float) -> float:
    """Restricted log likelihood, up to a constant; slopes and the noise's scale integrated out."""
    count, one = len(y), np.ones(len(y))
    factor = cho_factor(np.eye(count) + between * together + x @ x.T / shrinkage)
    solved, of_one = cho_solve(factor, y), cho_solve(factor, one)
    level = (one @ solved) / (one @ of_one)
    rest = y - level
    scale = rest @ (solved - level * of_one) / (count - 1)
    if scale <= 0:
        return 0.0
    size = 2 * np.log(np.diag(factor[0])).sum()
    return float(-0.5 * ((count - 1) * np.log(scale) + size + np.log(one @ of_one)))


def _posterior(
    x: Array, y: Array, together: Array, sources: int, between: float, shrinkage: float
) -> Posterior:
    count = len(y)
    design = np.column_stack([np.ones(count), x])
    factor = cho_factor(np.eye(count) + between * together)
    weighed = cho_solve(factor, design)
    prior = np.diag([0.0, *[shrinkage] * x.shape[1]])
    precision = design.T @ weighed + prior
    coefficients = np.linalg.solve(precision, weighed.T @ y)
    left = y @ cho_solve(factor, y) - coefficients @ precision @ coefficients
    variance = max(float(left), 0.0) / (count - 1)
    # Satterthwaite: the part between sources is known from their number, the rest from all cells.
    share = between / (1 + between)
    freedom = 1 / (share**2 / (sources - 1) + (1 - share) ** 2 / (count - 1))
    return Posterior(
        coefficients=coefficients,
        covariance=variance * np.linalg.inv(precision),
        within=float(np.sqrt(variance)),
        between=float(np.sqrt(variance * between)),
        freedom=float(freedom),
    )
