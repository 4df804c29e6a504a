"""Loss as a power of cost above a floor, and how surely a curve's points determine it.

``loss = floor + scale * (cost / unit) ** -exponent``, floor and scale not negative: the form in
which losses are extrapolated over compute (Kaplan et al., arXiv 2001.08361, without a floor;
Hoffmann et al., arXiv 2203.15556, with one).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from benchmark.report.statistics.estimates import Array

EXPONENTS = (0.003, 3.0)
"""Where exponents are looked for."""
COARSE, FINE, REFINEMENTS = 73, 17, 7
FEWEST_POINTS = 4
"""So many points leave one to spare beyond floor, scale and exponent."""


@dataclass(frozen=True)
class PowerLaw:
    """Fitted curves, each field of shape (...); ``unit`` is the largest cost fitted to.

    A scale of 0 is a curve that does not fall.
    """

    floor: Array
    scale: Array
    exponent: Array
    unit: float

    def loss_at(self, costs: ArrayLike) -> Array:
        """Losses on the curves at ``costs`` (n,): (..., n)."""
        relative = np.asarray(costs, dtype=float) / self.unit
        powers = relative ** -self.exponent[..., None]
        losses: Array = self.floor[..., None] + self.scale[..., None] * powers
        return losses

    def factor_for(self, drop: float) -> Array:
        """How many times the cost ``unit`` brings the loss there down by ``drop`` (positive).

        Infinite where the curve never falls so far.
        """
        left = self.scale - drop
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            factor: Array = (left / self.scale) ** (-1 / self.exponent)
        return np.where(left > 0, factor, np.inf)


def fit_power_law(costs: ArrayLike, losses: ArrayLike, floor: bool = True) -> PowerLaw:
    """The curves of least squares through ``losses`` (..., n) at ``costs`` (n,), both positive.

    For each exponent, floor and scale are a linear fit; the best exponent is found on a grid that
    is narrowed around it. Without ``floor``, that is 0.

    Raises:
        ValueError: there are fewer than two points, or one is not positive.
    """
    x, y = np.asarray(costs, dtype=float), np.asarray(losses, dtype=float)
    if x.ndim != 1 or y.shape[-1:] != x.shape or x.size < 2:
        raise ValueError(f"a curve takes two points or more, got {x.shape} and {y.shape}")
    if not ((x > 0).all() and (y > 0).all()):
        raise ValueError("costs and losses must be positive")
    unit = float(x.max())
    low, high = np.log(EXPONENTS)
    grid = np.broadcast_to(np.linspace(low, high, COARSE), (*y.shape[:-1], COARSE))
    for _ in range(REFINEMENTS):
        errors = _linear(x / unit, y, np.exp(grid), floor)[2]
        middle = np.take_along_axis(grid, errors.argmin(axis=-1)[..., None], axis=-1)
        width = grid[..., 1:2] - grid[..., :1]
        grid = np.clip(middle + width * np.linspace(-1, 1, FINE), low, high)
    exponents = np.exp(middle)
    floors, scales, _ = _linear(x / unit, y, exponents, floor)
    return PowerLaw(floors[..., 0], scales[..., 0], exponents[..., 0], unit)


def resampled_fits(costs: ArrayLike, losses: ArrayLike, resamples: int, seed: int = 0) -> PowerLaw:
    """Fits to the fitted curve plus residuals drawn again: of shape (``resamples``,).

    ``losses`` (n,). What is drawn are the residuals, made larger for the three numbers that the
    curve was fitted with, so that neither other seeds nor another form of curve are in the spread.
    """
    x, y = np.asarray(costs, dtype=float), np.asarray(losses, dtype=float)
    curve = fit_power_law(x, y).loss_at(x)
    residuals = (y - curve) * np.sqrt(x.size / max(1, x.size - 3))
    drawn = np.random.default_rng(seed).choice(residuals, size=(resamples, x.size))
    return fit_power_law(x, np.maximum(curve + drawn, 1e-12))


def _linear(x: Array, y: Array, exponents: Array, floor: bool) -> tuple[Array, Array, Array]:
    """Floor, scale and squared error of each exponent (..., g); ``y`` (..., n)."""
    powers = x ** -exponents[..., None]
    targets = y[..., None, :]
    if floor:
        means, level = powers.mean(axis=-1), targets.mean(axis=-1)
        centred = powers - means[..., None]
        spread = (centred**2).sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            scales = np.where(spread > 0, (centred * targets).sum(axis=-1) / spread, 0.0)
        scales = np.maximum(scales, 0.0)
        floors = level - scales * means
    else:
        scales, floors = np.zeros(exponents.shape), np.full(exponents.shape, -1.0)
    through_zero = (powers * targets).sum(axis=-1) / (powers**2).sum(axis=-1)
    scales = np.where(floors < 0, through_zero, scales)
    floors = np.maximum(floors, 0.0)
    errors = ((floors[..., None] + scales[..., None] * powers - targets) ** 2).sum(axis=-1)
    return floors, scales, errors
