"""How many times less a method needs than the reference to reach a loss, and the reverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.report.statistics.estimates import Array, mean_over_seeds
from benchmark.report.statistics.intervals import FEWEST, Kind, nested_interval
from benchmark.report.statistics.power_law import (
    FEWEST_POINTS,
    PowerLaw,
    fit_power_law,
    resampled_fits,
)

FURTHEST = 10.0
"""No cost beyond so many times that of the reference's training is extrapolated."""
WIDEST = float(np.log(100))
"""A factor that may be a hundredth or a hundredfold is as good as not bounded."""
RESAMPLES = 400
RISEN = 0.75
"""A curve that was at its last loss before this share of its cost has since risen."""

Sign = Literal["", ">", "<"]


@dataclass(frozen=True)
class Curve:
    """Losses at rising costs, both positive, (evaluations,); at least one."""

    costs: Array
    losses: Array


@dataclass(frozen=True)
class Bounded:
    """A factor, or what it exceeds (``>``) or stays below (``<``)."""

    factor: float
    sign: Sign = ""


@dataclass(frozen=True)
class Factor:
    """A factor over runs, and its 95% interval over what ``kind`` says.

    ``mean`` is geometric, over seeds and then over pairs. With ``sign``, it is a lower or upper
    bound and has no interval; NaN where a run has no factor, or runs have bounds on either side.
    ``short``: of how many of the ``runs`` there is but an upper bound. ``low`` and
    ``high`` are NaN where they cannot be had, and infinite beyond `FURTHEST`.
    """

    mean: float
    sign: Sign
    low: float
    high: float
    kind: Kind | Literal["fit"]
    short: int
    runs: int


@dataclass(frozen=True)
class Reference:
    """The curve of a run of the reference, the fit to its later part, and that to resamples of it.

    There is no fit to too few points, nor one that does not fall; resamples are for few seeds.
    """

    curve: Curve
    fitted: PowerLaw | None
    drawn: PowerLaw | None


def cost_to_reach(curve: Curve, level: float) -> Bounded:
    """The cost at which a curve is first at ``level`` or below.

    Between evaluations, the logarithm of the loss is linear in that of the cost. ``<`` if it is
    below at the first, ``>`` if it never is.
    """
    there = np.flatnonzero(curve.losses <= level)
    if there.size == 0:
        return Bounded(float(curve.costs[-1]), ">")
    place = int(there[0])
    if place == 0:
        return Bounded(float(curve.costs[0]), "<" if curve.losses[0] < level else "")
    costs, losses = (np.log(a[place - 1 : place + 1]) for a in (curve.costs, curve.losses))
    share = (losses[0] - np.log(level)) / (losses[0] - losses[1])
    return Bounded(float(np.exp(costs[0] + share * (costs[1] - costs[0]))))


def cost_of_end(reference: Curve) -> float:
    """The cost at which the reference first has the loss that it ends with."""
    return cost_to_reach(reference, float(reference.losses[-1])).factor


def has_only_risen(reference: Curve) -> bool:
    """Whether the reference's loss at the end is above that of its first evaluation."""
    return bool(reference.losses[-1] > reference.losses[0])


def has_risen(reference: Curve) -> bool:
    """Whether the reference's loss at the end was reached long before."""
    return cost_of_end(reference) < RISEN * float(reference.costs[-1])


def multiplier(reference: Curve, own: Curve) -> Bounded | None:
    """How many times less ``own`` costs than the reference until the loss that that ends with.

    ``>`` where the first evaluation is below it, ``<`` where none is: then it would cost more than
    all that was spent. None of a reference that was below it before its own first evaluation.
    """
    if has_only_risen(reference):
        return None
    needed = cost_to_reach(own, float(reference.losses[-1]))
    sign: dict[Sign, Sign] = {"": "", "<": ">", ">": "<"}
    return Bounded(cost_of_end(reference) / needed.factor, sign[needed.sign])


def reference_of(curve: Curve, later: NDArray[np.bool_], resamples: int = RESAMPLES) -> Reference:
    """The reference with a power law through the evaluations that are ``later`` (evaluations,)."""
    costs, losses = curve.costs[later], curve.losses[later]
    if costs.size < FEWEST_POINTS:
        return Reference(curve, None, None)
    fitted = fit_power_law(costs, losses)
    if fitted.scale <= 0:
        return Reference(curve, None, None)
    drawn = resampled_fits(costs, losses, resamples) if resamples else None
    return Reference(curve, fitted, drawn)


def equivalent(reference: Reference, level: float) -> Bounded | None:
    """How many times the cost of its own end loss the reference takes to reach ``level``.

    Read off its curve where that is so low, ``<`` if already at the first evaluation; else along
    the fitted power law, shifted to pass through the last evaluation, and ``>`` beyond `FURTHEST`.
    None where that needs a fit and there is none, and of a curve that has only risen.
    """
    curve = reference.curve
    if has_only_risen(curve):
        return None
    end, needed = cost_of_end(curve), cost_to_reach(curve, level)
    if needed.sign != ">":
        return Bounded(needed.factor / end, needed.sign)
    if reference.fitted is None:
        return None
    factor = float(_along(reference.fitted, curve, level)) / end
    return Bounded(FURTHEST, ">") if factor > FURTHEST else Bounded(factor)


def equivalents(references: Sequence[Reference], levels: Sequence[float]) -> Factor:
    """`equivalent` over the seeds of a pair, (seeds,) each.

    With fewer than `FEWEST` seeds, its interval is that of the fits: percentiles over resamples
    of their residuals.
    """
    pairs = list(zip(references, levels, strict=True))
    found = pooled([[equivalent(reference, level) for reference, level in pairs]])
    if len(pairs) >= FEWEST or found.sign or np.isnan(found.mean):
        return found
    draws = [_drawn(reference, level) for reference, level in pairs]
    if all(drawn.size == 1 for drawn in draws):
        return found
    means = np.mean(np.broadcast_arrays(*draws), axis=0)
    low, high = np.exp(np.quantile(means, [0.025, 0.975], method="nearest"))
    return replace(found, low=float(low), high=float(high), kind="fit")


def pooled(factors: Sequence[Sequence[Bounded | None]]) -> Factor:
    """Over the seeds of each of several pairs; None: of that seed no factor can be had."""
    every = [found for of_pair in factors for found in of_pair]
    known = [found for found in every if found is not None]
    signs = {found.sign for found in known} - {""}
    short = sum(found.sign == "<" for found in known)
    nothing = Factor(np.nan, "", np.nan, np.nan, "none", short, len(every))
    if not all(factors) or len(known) < len(every) or len(signs) > 1:
        return nothing
    logs = np.full((len(factors), max(map(len, factors))), np.nan)
    for pair, of_pair in enumerate(factors):
        logs[pair, : len(of_pair)] = [np.log(found.factor) for found in of_pair if found]
    mean = float(np.exp(mean_over_seeds(mean_over_seeds(logs))))
    if signs:
        return replace(nothing, mean=mean, sign=signs.pop())
    kind, interval = nested_interval(logs, widest=WIDEST)
    if interval is None:
        return replace(nothing, mean=mean)
    low, high = (float(np.exp(bound)) for bound in (interval.low, interval.high))
    return replace(nothing, mean=mean, low=low, high=high, kind=kind)


def _along(fit: PowerLaw, curve: Curve, level: float) -> Array:
    """The cost at which a curve would be down at ``level``, by each of the fits."""
    return fit.factor_for(float(curve.losses[-1]) - level) * float(curve.costs[-1])


def _drawn(reference: Reference, level: float) -> Array:
    """Logarithms of `equivalent` by the resampled fits, (resamples,); (1,) where it needs none."""
    curve = reference.curve
    end, needed = cost_of_end(curve), cost_to_reach(curve, level)
    if needed.sign != ">" or reference.drawn is None:
        return np.full(1, np.log(needed.factor / end))
    factors = _along(reference.drawn, curve, level) / end
    logs: Array = np.log(np.where(factors > FURTHEST, np.inf, factors))
    return logs
