"""Provenance domains in figures: one order and one colour each in all of them."""

from __future__ import annotations

import pandas as pd

from benchmark.study.metrics import DOMAIN_SHARE

# Paul Tol's muted colours, told apart by the colour-blind; none is that of a method.
BANDS = (
    *("#332288", "#88CCEE", "#44AA99", "#117733", "#999933"),
    *("#DDCC77", "#CC6677", "#882255", "#AA4499"),
)
REST = "#CCCCCC"


def domains_by_share(metrics: pd.DataFrame) -> list[str]:
    """Domains of which runs have recorded shares, those that were trained on most first."""
    names = [name for name in metrics.columns if str(name).startswith(DOMAIN_SHARE)]
    means = metrics[names].mean().sort_values(ascending=False, kind="stable")
    return [str(name).removeprefix(DOMAIN_SHARE) for name in means.index]


def domain_colours(names: list[str]) -> dict[str, str]:
    """The band of each domain in this order; those beyond the colours share the last one."""
    coloured = dict(zip(names, BANDS, strict=False))
    rest = names[len(BANDS) :]
    if rest:
        coloured[rest[0] if len(rest) == 1 else f"{len(rest)} others"] = REST
    return coloured


def band_colours(count: int) -> list[str]:
    """Colours of so many bands, as of `domain_colours`."""
    return [*BANDS, *[REST] * (count - len(BANDS))][:count]
