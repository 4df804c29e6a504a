"""Cells whose truth is known: gains that follow from measures, sources and noise."""

from __future__ import annotations

import numpy as np

from benchmark.diagnostic.recommend.features import Measured, Setting
from benchmark.diagnostic.recommend.fitted_on import FittedOn
from benchmark.diagnostic.recommend.fitting import Cell, fit_rule
from benchmark.diagnostic.recommend.rule import ENDS, AdviceRule
from benchmark.study.records import Cost
from benchmark.study.study import MethodEntry

MENU = {
    "mixing": MethodEntry(method="mixing"),
    "dsir": MethodEntry(method="dsir"),
    "dds": MethodEntry(method="dds"),
}
SLOPES = {"mixing": -3.0, "dsir": 4.0, "dds": 0.5}
"""Gain for each unit of the method's first measure."""
LEVELS = {"mixing": 1.0, "dsir": 0.0, "dds": 0.5}


def measured(divergence: float, rng: np.random.Generator, documents: int = 100) -> Measured:
    """Measures of tier 0 of a target with this divergence."""
    setting = Setting(
        parameters=1000,
        rows_trained=5000,
        sample_rows=1000,
        sample_documents=documents,
        generic_rows=100_000,
    )
    values = {
        "ngram_divergence": divergence,
        "classifier_auc": float(rng.uniform(0.5, 1)),
        "stand_in_classifier": float(rng.normal()),
        "stand_in_importance": float(rng.normal()),
    }
    return Measured(tier=0, task="language_modelling", setting=setting, values=values, cost=Cost())


def cells(
    sources: int,
    seed: int,
    *,
    targets: int = 2,
    between: float = 0.5,
    within: float = 0.5,
    seeds: int = 2,
) -> list[Cell]:
    """``targets`` of each of ``sources``; all ends have the same gains."""
    rng = np.random.default_rng(seed)
    found = []
    for source in range(sources):
        own = {label: between * rng.normal() for label in MENU}
        for number in range(targets):
            x = float(rng.normal())
            gains = {
                label: LEVELS[label] + SLOPES[label] * x + own[label] + within * rng.normal()
                for label in MENU
            }
            each = tuple(
                {end: {k: g + 0.1 * rng.normal() for k, g in gains.items()} for end in ENDS}
                for _ in range(seeds)
            )
            found.append(
                Cell(
                    study="made_up",
                    source=f"s{source}",
                    target=f"t{source}_{number}",
                    measured=measured(x, rng, documents=int(2 ** rng.uniform(1, 10))),
                    gains=dict.fromkeys(ENDS, gains),
                    by_seed=each,
                )
            )
    return found


def on(some: list[Cell]) -> FittedOn:
    return FittedOn(
        studies=("made_up",),
        commits=("0" * 40,),
        sources={cell.source: (cell.target,) for cell in some},
        seeds=(0, 1),
        runs=4 * len(some),
        cells=len(some),
    )


def fitted(some: list[Cell]) -> AdviceRule:
    return fit_rule(some, MENU, 0, on(some))


def truth(cell: Cell) -> dict[str, float]:
    """The expected gain of each method, given the measures."""
    x = cell.measured.values["ngram_divergence"]
    return {label: LEVELS[label] + SLOPES[label] * x for label in MENU}
