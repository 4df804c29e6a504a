"""Domain weights of the methods that find a mixture with a proxy, over its training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from benchmark.report.figures.panels import LeftOutError, of_pair, pair_name
from benchmark.report.figures.stacked import Cell, bands_legend, cells_figure
from benchmark.report.figures.style import in_order, method_styles
from benchmark.report.results.domains import REST, band_colours, domain_colours, domains_by_share
from benchmark.report.results.inputs import StudyResults
from benchmark.report.statistics.estimates import Array
from benchmark.study.metrics import DOMAIN_WEIGHT, PROXY_WEIGHT
from benchmark.study.stages import STAGES

RUN = ["model", "target", "method", "seed"]
SHOWN = 8
SHADES = "Blues"


def weights_figure(results: StudyResults) -> Figure:
    """A row for each (model, target); for each method the proxy's weights, and the mixture found.

    Means over seeds. Clusters of two seeds are not the same ones: they are ranked by their weight
    in the mixture before the mean is taken.

    Raises:
        LeftOutError: no run has recorded such weights.
    """
    measured = results.measured[results.measured["stage"] == STAGES[0]]
    weights = [
        name for name in measured.columns if str(name).startswith((DOMAIN_WEIGHT, PROXY_WEIGHT))
    ]
    measured = measured.dropna(subset=weights, how="all")
    if not weights:
        raise LeftOutError("no run has recorded weights of domains")
    methods = in_order(method_styles(results.methods), measured["method"])
    named = domains_by_share(measured)
    rows = {}
    measured = measured[[*RUN, "step", *weights]]
    for model, target in results.pairs:
        here = of_pair(measured, model, target)
        cells = [_cells(here[here["method"] == method], named) for method in methods]
        rows[pair_name(results, model, target)] = [cell for both in cells for cell in both]
    columns = [f"{method} {what}" for method in methods for what in ("proxy", "mixture")]
    labels = ("weight of the domain", "in each cell from the proxy's first step to its last")
    figure = cells_figure(rows, columns, labels)
    kinds = {_are_named(runs, named) for _, runs in measured.groupby("method")}
    bands = domain_colours(named) if True in kinds else {}
    if False in kinds:
        bands[f"the {SHOWN} clusters of most weight"] = _shades()[0]
        bands["other clusters"] = REST
    bands_legend(figure, bands)
    return figure


def _cells(runs: pd.DataFrame, named: list[str]) -> tuple[Cell | None, Cell | None]:
    """The proxy's weights and the mixture found, of one method on one (model, target)."""
    if runs.empty:
        return None, None
    courses = [_course(run, named) for _, run in runs.groupby("seed")]
    # A run that failed has no more than the beginning.
    longest = max(len(course) for course in courses)
    mean = np.mean([course for course in courses if len(course) == longest], axis=0)
    colours = band_colours(len(named)) if _are_named(runs, named) else [*_shades(), REST]
    progress = np.arange(1, longest) / (longest - 1)
    return Cell(progress, mean[:-1], colours), Cell(np.ones(1), mean[-1:], colours)


def _course(run: pd.DataFrame, named: list[str]) -> Array:
    """Weights of one run (times + 1, domains): the proxy's, and last the mixture's."""
    run = run.sort_values("step")
    mixture = run.filter(regex=f"^{DOMAIN_WEIGHT}").iloc[-1].dropna()
    if _are_named(run, named):
        order = [DOMAIN_WEIGHT + name for name in named]
    else:
        order = list(mixture.sort_values(ascending=False, kind="stable").index)
    proxy = run.reindex(columns=[PROXY_WEIGHT + name.removeprefix(DOMAIN_WEIGHT) for name in order])
    course = np.nan_to_num(np.vstack([proxy.to_numpy(dtype=float), mixture.reindex(order)]))
    return course if _are_named(run, named) else _heaviest(course)


def _heaviest(course: Array) -> Array:
    """The first columns (times, SHOWN), those beyond them added up as one more."""
    shown = np.pad(course[:, :SHOWN], ((0, 0), (0, max(0, SHOWN - course.shape[1]))))
    return np.column_stack([shown, course[:, SHOWN:].sum(axis=1)])


def _are_named(runs: pd.DataFrame, named: list[str]) -> bool:
    """Whether the weights are of provenance domains, and not of clusters."""
    weighed = runs.filter(regex=f"^{DOMAIN_WEIGHT}").dropna(axis=1, how="all").columns
    return all(name.removeprefix(DOMAIN_WEIGHT) in named for name in weighed)


def _shades() -> list[str]:
    return [to_hex(shade) for shade in colormaps[SHADES](np.linspace(0.95, 0.3, SHOWN))]
