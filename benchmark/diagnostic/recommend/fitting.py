"""From measures and outcomes to a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.core.errors import UserError
from benchmark.core.rounding import rounded
from benchmark.diagnostic.recommend.features import (
    VERSION,
    Measured,
    Tier,
    features_of,
)
from benchmark.diagnostic.recommend.fitted_on import FittedOn
from benchmark.diagnostic.recommend.outcomes import Finished, Gains
from benchmark.diagnostic.recommend.regression import FEWEST, fit
from benchmark.diagnostic.recommend.rule import (
    ENDS,
    AdviceRule,
    End,
    Evidence,
    Predictor,
    SeenSetting,
)
from benchmark.diagnostic.recommend.scales import Scale, scales_of, standardise
from benchmark.report.results.inputs import REFERENCE
from benchmark.study.study import MethodEntry

Array = NDArray[np.float64]
SHRUNK = 0.2
"""Share of a correlation of residuals that is taken off: it is estimated from few cells."""


@dataclass(frozen=True)
class Cell:
    """A (model, target) of which measures and gains are known."""

    study: str
    source: str
    target: str
    measured: Measured
    gains: Gains
    by_seed: tuple[Gains, ...]


def menu_of(studies: Sequence[Finished]) -> dict[str, MethodEntry]:
    """The methods of all studies by label, pretraining left out.

    Raises:
        UserError: a label stands for two methods.
    """
    menu: dict[str, MethodEntry] = {}
    for study in studies:
        for label, entry in study.methods.items():
            if menu.setdefault(label, entry).method != entry.method:
                raise UserError(
                    f"study {study.study!r}: methods: {label!r} is {entry.method}, in another "
                    f"study {menu[label].method}: give one of them another label"
                )
    return {label: entry for label, entry in menu.items() if label != REFERENCE}


def fit_rule(
    cells: Sequence[Cell], menu: dict[str, MethodEntry], tier: Tier, on: FittedOn
) -> AdviceRule:
    """The rule for these methods; what has gains from fewer than `FEWEST` sources is left out.

    Raises:
        UserError: there are fewer sources, or nothing is left.
    """
    sources = {cell.source for cell in cells}
    if len(sources) < FEWEST:
        raise UserError(
            f"{', '.join(on.studies)}: their targets are from {len(sources)} sources "
            f"({', '.join(sorted(sources))}), too few to tell what holds on others: {FEWEST} at "
            "least, and 40 to be of use"
        )
    features = {label: features_of(entry, tier) for label, entry in menu.items()}
    names = list(dict.fromkeys(name for of in features.values() for name in of))
    scales = scales_of([cell.measured for cell in cells], names)
    standardised = np.array([_standardised(cell.measured, scales, names) for cell in cells])
    of_cell = np.array([cell.source for cell in cells])
    ends = {}
    for end in ENDS:
        found = _fit_end(cells, end, features, names, standardised, of_cell)
        if found is not None:
            ends[end] = found
    if not ends:
        raise UserError(
            f"{', '.join(on.studies)}: no method has gains from {FEWEST} sources at any end"
        )
    kept = {label for end in ends.values() for label in end.predictors}
    return AdviceRule(
        tier=tier,
        features_version=VERSION,
        fitted_on=on,
        methods={label: entry.method for label, entry in menu.items() if label in kept},
        seen=_seen(cells, names),
        scales=scales,
        evidence=_evidence(cells, names),
        ends=ends,
    )


def _fit_end(
    cells: Sequence[Cell],
    end: str,
    features: dict[str, tuple[str, ...]],
    names: list[str],
    standardised: Array,
    sources: NDArray[np.str_],
) -> End | None:
    predictors: dict[str, Predictor] = {}
    residuals: dict[str, Array] = {}
    for label, used in features.items():
        gains = np.array([cell.gains.get(end, {}).get(label, np.nan) for cell in cells])
        known = np.isfinite(gains)
        if len(set(sources[known])) < FEWEST:
            continue
        x = standardised[:, [names.index(name) for name in used]]
        found = fit(x[known], gains[known], sources[known])
        predictors[label] = Predictor(
            measures=used,
            kernel=found.kernel,
            gains=tuple(rounded(gain) if np.isfinite(gain) else None for gain in gains),
        )
        residuals[label] = np.full(len(cells), np.nan)
        residuals[label][known] = found.left_out
    if not predictors:
        return None
    means = {REFERENCE: 0.0, **{label: each.mean for label, each in predictors.items()}}
    return End(
        predictors=predictors,
        correlation=_correlation(residuals),
        seed_spread={label: _seed_spread(cells, end, label) for label in predictors},
        best_on_average=max(means, key=lambda label: means[label]),
    )


def _evidence(cells: Sequence[Cell], names: Sequence[str]) -> Evidence:
    return Evidence(
        targets=tuple(cell.target for cell in cells),
        sources=tuple(cell.source for cell in cells),
        parameters=tuple(cell.measured.setting.parameters for cell in cells),
        measures={
            name: tuple(rounded(cell.measured.known[name]) for cell in cells) for name in names
        },
    )


def _correlation(residuals: dict[str, Array]) -> dict[str, dict[str, float]]:
    """Of residuals ``[cells]`` by label, over the cells that two have in common, shrunk."""
    found: dict[str, dict[str, float]] = {}
    for a, x in residuals.items():
        found[a] = {}
        for b, y in residuals.items():
            both = np.isfinite(x) & np.isfinite(y)
            u, v = x[both], y[both]
            size = float(np.sqrt((u @ u) * (v @ v)))
            value = float(u @ v) / size if size > 0 else 0.0
            found[a][b] = 1.0 if a == b else rounded((1 - SHRUNK) * value)
    return found


def _seed_spread(cells: Sequence[Cell], end: str, label: str) -> float | None:
    """Standard deviation of a gain over seeds, pooled over cells with two seeds or more."""
    squares, freedom = 0.0, 0
    for cell in cells:
        values = [g[end][label] for g in cell.by_seed if label in g.get(end, {})]
        if len(values) > 1:
            squares += float(np.var(values)) * len(values)
            freedom += len(values) - 1
    return rounded(np.sqrt(squares / freedom)) if freedom else None


def _standardised(
    measured: Measured, scales: dict[str, Scale], names: Sequence[str]
) -> list[float]:
    known, count = measured.known, measured.setting.parameters
    return [standardise(known[name], name, count, scales) for name in names]


def _seen(cells: Sequence[Cell], names: Sequence[str]) -> SeenSetting:
    every = [{**c.measured.setting.model_dump(), **c.measured.known} for c in cells]
    wanted = [*cells[0].measured.setting.model_dump(), *names]
    return SeenSetting(
        task=cells[0].measured.task,
        ranges={
            name: (min(of[name] for of in every), max(of[name] for of in every))
            for name in dict.fromkeys(wanted)
        },
    )
