"""How measures are standardised: those of gradients within each model, all others together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from benchmark.core.frozen import Frozen
from benchmark.core.rounding import rounded
from benchmark.diagnostic.recommend.features import OF_MODEL, Measured

POOLED = "all"
NEGLIGIBLE = 1e-9


class Scale(Frozen):
    """How measures are standardised: ``(value - centre) / spread``."""

    centre: dict[str, FiniteFloat]
    """Mean of each measure over the sources that the rule was fitted on."""
    spread: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]
    """Standard deviation of each measure, above 0."""

    @model_validator(mode="after")
    def _is_of_the_same_measures(self) -> Scale:
        if self.centre.keys() != self.spread.keys():
            raise ValueError("centre and spread are not of the same measures")
        return self


def standardise(value: float, name: str, parameters: int, scales: Mapping[str, Scale]) -> float:
    """A measure on the scale of the model with so many parameters where it has one of its own."""
    own = scales.get(str(parameters)) if name in OF_MODEL else None
    scale = own or scales[POOLED]
    return (value - scale.centre[name]) / scale.spread[name]


def scales_of(every: Sequence[Measured], names: Sequence[str]) -> dict[str, Scale]:
    """By model, for measures that have another unit in each; and pooled over all."""
    groups: defaultdict[str, list[Measured]] = defaultdict(list)
    for measured in every:
        groups[POOLED].append(measured)
        groups[str(measured.setting.parameters)].append(measured)
    own = [name for name in names if name in OF_MODEL]
    return {
        group: _scale(some, names if group == POOLED else own)
        for group, some in groups.items()
        if group == POOLED or own
    }


def _scale(measured: Sequence[Measured], names: Iterable[str]) -> Scale:
    values = {name: np.array([each.known[name] for each in measured]) for name in names}
    centre = {name: rounded(each.mean(), 12) for name, each in values.items()}
    spread = {name: rounded(each.std()) for name, each in values.items()}
    return Scale(
        centre=centre,
        # What never varies but by rounding says nothing.
        spread={
            n: s if s > NEGLIGIBLE * max(1.0, abs(centre[n])) else 1.0 for n, s in spread.items()
        },
    )
