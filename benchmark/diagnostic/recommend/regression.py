"""Regression of few observations from few sources, and how uncertain it is: a Gaussian process.

``y = level + linear(x) + smooth(x) + (of the source) + (of the observation)``. The linear part
has normal slopes around 0, the smooth part a squared-exponential covariance, targets of one
source share an effect of their own, and the level is free (Rasmussen and Williams, 2006, chapters
2 and 5). How large each part is, is averaged over a grid, weighted by the likelihood that is
restricted to what the level leaves (REML; Patterson and Thompson, 1971).
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve

from benchmark.core.frozen import Frozen
from benchmark.core.rounding import rounded

Array = NDArray[np.float64]
BETWEEN = (0.0, 0.25, 1.0, 3.0)
LINEAR = (0.0, 0.03, 0.3)
SMOOTH = (0.0, 0.3, 1.0, 3.0, 10.0)
LENGTH = (0.7, 1.4, 2.8)
FEWEST = 4
"""Sources, at least."""


class Kernel(Frozen):
    """How large the parts are: variances as multiples of that of an observation."""

    between: float = Field(ge=0, le=1e6)
    """Between sources."""
    linear: float = Field(ge=0, le=1e6)
    """Of the slope of each standardised measure."""
    smooth: float = Field(ge=0, le=1e6)
    """Of the smooth part."""
    length: float = Field(ge=1e-3, le=1e6)
    """Distance over which it varies: root mean square of differences, standard deviations."""

    def similarity(self, x: Array, other: Array) -> Array:
        """Covariance ``[n, m]`` of what ``x`` ``[n, k]`` and ``other`` ``[m, k]`` say."""
        differences = x[:, None, :] - other[None, :, :]
        square = (differences**2).sum(axis=2) / max(x.shape[1], 1)
        similar: Array = self.linear * x @ other.T + self.smooth * np.exp(
            -square / (2 * self.length**2)
        )
        return similar


class Regression:
    """The regression of ``y`` ``[n]`` on standardised ``x`` ``[n, k]`` with this kernel.

    ``sources`` ``[n]``: of which source each is. ``within`` and ``between`` are the standard
    deviations of an observation and of a source, ``freedom`` that of Student's distribution of a
    prediction.
    """

    def __init__(self, kernel: Kernel, x: Array, y: Array, sources: ArrayLike) -> None:
        self.kernel = kernel
        self._x = x
        names, self._member = np.unique(np.asarray(sources), return_inverse=True)
        together = self._member[:, None] == self._member[None, :]
        count, one = len(y), np.ones(len(y))
        covariance = np.eye(count) + kernel.between * together + kernel.similarity(x, x)
        self._factor = cho_factor(covariance)
        self._of_one = cho_solve(self._factor, one)
        self._precision_of_level = float(one @ self._of_one)
        solved = cho_solve(self._factor, y)
        self.level = float(one @ solved) / self._precision_of_level
        self._weights: Array = solved - self.level * self._of_one
        variance = max(float(y @ self._weights), 0.0) / (count - 1)
        self.within = float(np.sqrt(variance))
        self.between = float(np.sqrt(variance * kernel.between))
        # Satterthwaite: the part between sources is known from their number, the rest from all.
        share = kernel.between / (1 + kernel.between)
        self.freedom = 1 / (share**2 / max(len(names) - 1, 1) + (1 - share) ** 2 / (count - 1))

    @property
    def log_likelihood(self) -> float:
        """Restricted, up to a constant; the scale of the noise is integrated out."""
        if self.within == 0:
            return 0.0
        freedom = len(self._x) - 1
        size = 2 * np.log(np.diag(self._factor[0])).sum() + np.log(self._precision_of_level)
        return float(-0.5 * (freedom * 2 * np.log(self.within) + size))

    def expected(self, x: Array) -> Array:
        """The mean ``[m]`` at ``x`` ``[m, k]`` of a source that is not known."""
        found: Array = self.level + self.kernel.similarity(x, self._x) @ self._weights
        return found

    def scale(self, x: Array) -> Array:
        """Of the distribution at ``x`` ``[m, k]``: the fit's, a new source's, an observation's."""
        similar = self.kernel.similarity(x, self._x)
        own = self.kernel.linear * (x**2).sum(axis=1) + self.kernel.smooth
        known = (similar * cho_solve(self._factor, similar.T).T).sum(axis=1)
        of_level = (1 - similar @ self._of_one) ** 2 / self._precision_of_level
        fit = np.clip(own - known + of_level, 0, None) * self.within**2
        scale: Array = np.sqrt(fit + self.within**2 + self.between**2)
        return scale

    @property
    def left_out(self) -> Array:
        """What is measured less what is expected without the source, ``[n]``, the kernel as is."""
        precision = cho_solve(self._factor, np.eye(len(self._x)))
        precision -= np.outer(self._of_one, self._of_one) / self._precision_of_level
        found = np.empty(len(self._x))
        for source in np.unique(self._member):
            of = self._member == source
            found[of] = np.linalg.solve(precision[np.ix_(of, of)], self._weights[of])
        return found


def fit(x: ArrayLike, y: ArrayLike, sources: ArrayLike) -> Regression:
    """The regression of ``y`` ``[n]`` on standardised ``x`` ``[n, k]``; ``sources`` ``[n]``.

    Raises:
        ValueError: there are fewer than `FEWEST` sources, or a number is not finite.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if (count := len(np.unique(np.asarray(sources)))) < FEWEST:
        raise ValueError(f"{count} sources are fewer than {FEWEST}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a number is not finite")
    lengths = [(0.0, LENGTH[0]), *product(SMOOTH[1:], LENGTH)]
    grid = [
        Kernel(between=between, linear=linear, smooth=smooth, length=length)
        for between, linear, (smooth, length) in product(BETWEEN, LINEAR, lengths)
    ]
    scores = np.array([Regression(kernel, x, y, sources).log_likelihood for kernel in grid])
    weights = np.exp(scores - scores.max())
    return Regression(_average(grid, weights / weights.sum()), x, y, sources)


def _average(grid: list[Kernel], weights: Array) -> Kernel:
    """Means of variances on a scale on which 0 is possible, of lengths on that of the logarithm."""

    def variance(name: str) -> float:
        logs = np.log1p([getattr(kernel, name) for kernel in grid])
        return rounded(float(np.expm1(weights @ logs)))

    # Where nothing is smooth, a length says nothing.
    of = weights * [kernel.smooth > 0 for kernel in grid] + np.finfo(float).tiny
    length = np.exp(of @ np.log([kernel.length for kernel in grid]) / of.sum())
    return Kernel(
        between=variance("between"),
        linear=variance("linear"),
        smooth=variance("smooth"),
        length=rounded(float(length)),
    )
