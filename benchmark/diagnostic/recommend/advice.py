"""From a rule and measures to a recommendation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from scipy.stats import t as student

from benchmark.core.errors import UserError, unknown
from benchmark.core.randomness import generator
from benchmark.diagnostic.recommend.features import MEANINGS, Measured
from benchmark.diagnostic.recommend.records import Expected, Recommended
from benchmark.diagnostic.recommend.rule import ENDS, AdviceRule
from benchmark.report.results.inputs import REFERENCE

Array = NDArray[np.float64]
DRAWS = 4000
CONFIDENCE = 0.9


@dataclass(frozen=True)
class Forecast:
    """What an end's regressions say of one cell.

    By label, in the order of ``labels``: ``expected`` gain, ``scale`` and ``freedom`` of its
    Student's distribution, all ``[m]``; ``draws`` ``[DRAWS, m]`` of all gains together.
    """

    labels: tuple[str, ...]
    expected: Array
    scale: Array
    freedom: Array
    draws: Array

    @property
    def bounds(self) -> tuple[Array, Array]:
        """The 90% interval of each gain: two arrays ``[m]``."""
        reach = student.ppf((1 + CONFIDENCE) / 2, self.freedom) * self.scale
        return self.expected - reach, self.expected + reach

    @property
    def with_reference(self) -> tuple[tuple[str, ...], Array]:
        """Labels and draws with pretraining, whose gain is 0, before them."""
        zeros = np.zeros((len(self.draws), 1))
        return (REFERENCE, *self.labels), np.hstack([zeros, self.draws])


def forecast(
    rule: AdviceRule, end: str, standardised: Mapping[str, float], labels: Sequence[str]
) -> Forecast:
    """The gains of ``labels``, drawn together with the correlation of their residuals.

    Each gain alone has Student's distribution with what the fit does not know, the spread of
    sources and that of cells; methods share the draw of how wide a distribution is.
    """
    found = [rule.expected(end, label, standardised) for label in labels]
    expected, scale, freedom = (np.array(each, dtype=float) for each in zip(*found, strict=True))
    known = rule.ends[end].correlation
    correlation = np.array([[known[a][b] for b in labels] for a in labels])
    # Correlations over different cells need not be those of any distribution: mended if so.
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    root = vectors * np.sqrt(np.clip(values, 1e-9, None))
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    normal = generator("recommend", "draws").normal(size=(DRAWS, len(labels))) @ root.T
    stretch = np.stack([_stretch(float(each)) for each in freedom], axis=1)
    draws = expected + scale * normal * stretch
    return Forecast(tuple(labels), expected, scale, freedom, draws)


@lru_cache(maxsize=256)
def _stretch(freedom: float) -> Array:
    """What makes normal draws those of Student's distribution: ``[DRAWS]``."""
    places = generator("recommend", "stretch").permutation(DRAWS)
    stretch: Array = np.sqrt(freedom / chi2.ppf((places + 0.5) / DRAWS, freedom))
    return stretch


def menu(rule: AdviceRule, methods: Mapping[str, str], asked: Sequence[str]) -> tuple[str, ...]:
    """Labels to choose among: those ``asked`` for, else the study's that the rule knows.

    ``methods``: of the study, the registered name of each label.

    Raises:
        UserError: a label is not the study's or not the rule's, is another method there, or none
            is left.
    """
    for label in asked:
        if label not in methods:
            raise unknown("method", label, methods, at="--methods: ")
        if label not in rule.methods and label != REFERENCE:
            raise unknown("method of the rule", label, rule.methods, at="--methods: ")
    chosen = [label for label in (asked or methods) if label in rule.methods]
    for label in chosen:
        if rule.methods[label] != methods[label]:
            raise UserError(
                f"methods: {label!r} is {methods[label]} in the study and {rule.methods[label]} in "
                "the rule: give it another label, or leave it out by --methods"
            )
    if not chosen:
        raise UserError(
            f"methods: the rule knows none of them (got {', '.join(asked or methods)}; valid: "
            f"{', '.join(rule.methods)})"
        )
    return tuple(chosen)


def recommend(
    rule: AdviceRule, measured: Measured, labels: Sequence[str]
) -> dict[str, Recommended]:
    """By end: what is expected of each method and of pretraining, and which one to train.

    Raises:
        UserError: the measures are of another tier than the rule.
    """
    standardised = rule.standardised(measured)
    return {
        name: _of_end(rule, name, standardised, known)
        for name, end in rule.ends.items()
        if (known := [label for label in labels if label in end.predictors])
    }


def _of_end(
    rule: AdviceRule, end: str, standardised: Mapping[str, float], labels: Sequence[str]
) -> Recommended:
    seed_spread = rule.ends[end].seed_spread
    found = forecast(rule, end, standardised, labels)
    names, draws = found.with_reference
    best = draws.max(axis=1)
    chance = np.bincount(draws.argmax(axis=1), minlength=len(names)) / len(draws)
    regret = (best[:, None] - draws).mean(axis=0)
    low, high = found.bounds
    gains = np.concatenate([[0.0], found.expected])
    chosen = choose(names, gains, seed_spread)
    tied = tuple(
        name
        for name, gain in zip(names, gains, strict=True)
        if name != chosen and _tie(chosen, name, gains[names.index(chosen)] - gain, seed_spread)
    )
    expected = {
        name: Expected(
            change=as_change(gains[i]),
            low=as_change(high[i - 1]) if i else 0.0,
            high=as_change(low[i - 1]) if i else 0.0,
            probability_best=float(chance[i]),
            regret=float(regret[i]),
        )
        for i, name in enumerate(names)
    }
    return Recommended(
        method=chosen,
        regret=expected[chosen].regret,
        no_difference=tied,
        why=_why(rule, end, chosen, standardised, names, gains, tied),
        expected=expected,
    )


def choose(names: Sequence[str], gains: Array, seed_spread: Mapping[str, float | None]) -> str:
    """The method with the highest expected gain; pretraining, named first, if that is no more.

    A gain below one seed's spread is no difference, and nothing is simpler than pretraining.
    """
    top = int(np.argmax(gains))
    return names[0] if _tie(names[top], names[0], float(gains[top]), seed_spread) else names[top]


def as_change(gain: float) -> float:
    """A gain (100 x log ratio) as the change of the loss in percent: below 0 is better."""
    # 0 is added for pretraining's own, which would be -0.
    return float(100 * np.expm1(-gain / 100)) + 0.0


def _tie(a: str, b: str, difference: float, seed_spread: Mapping[str, float | None]) -> bool:
    """Whether two expected gains differ by less than one seed's spread of either."""
    spreads = [seed_spread.get(name) for name in (a, b)]
    return abs(difference) < max((s for s in spreads if s is not None), default=0.0)


def _why(
    rule: AdviceRule,
    end: str,
    chosen: str,
    standardised: Mapping[str, float],
    names: Sequence[str],
    gains: Array,
    tied: Sequence[str],
) -> str:
    """One sentence: what is expected, and which measure says so most."""
    words = ENDS[end]
    if chosen == REFERENCE:
        top = names[int(np.argmax(gains))]
        more = "" if top == REFERENCE else f", not even by {top},"
        return f"No gain{more} is expected {words} that is larger than one seed's spread."
    shares = rule.shares(end, chosen, standardised)
    name = max(shares, key=lambda each: abs(shares[each]))
    side = "above" if standardised[name] > 0 else "below"
    effect = "for" if shares[name] > 0 else "against"
    gain = gains[names.index(chosen)]
    told = f"; no different: {', '.join(tied)}" if tied else ""
    return (
        f"{chosen} is expected to change the loss by {as_change(float(gain)):+.1f}% {words}; what "
        f"speaks most {effect} it is the {MEANINGS[name].split(',')[0]}, "
        f"{abs(standardised[name]):.1f} standard deviations {side} the mean seen{told}."
    )
