"""Which method wins where in the atlas, and what each gains at each level of the design."""

from __future__ import annotations

import design
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from outcomes import CELL, COVERAGE, FACTORS, SAMPLES, by_method

from benchmark.diagnostic.recommend.rule import ENDS
from benchmark.report.figures.style import GREY, method_styles
from benchmark.report.results.inputs import REFERENCE

FURTHEST = 12.0
"""Gains beyond it have the same colour."""
TEN = colormaps["tab10"].colors
"""As many colours as methods: where one is best is seen from afar."""
TICKS = (30, 100, 300, 1000, 3000)
LEVELS = {
    "steps": tuple(f"{steps}" for steps in design.STEPS),
    "sample": SAMPLES,
    "coverage": COVERAGE,
    "corpus": tuple(f"{size:g} MB" for size in design.CORPUS),
    "downsampling": tuple(f"1 of {factor}" for factor in design.DOWNSAMPLING),
    "noise": ("none", "half"),
}


def map_figure(cells: pd.DataFrame) -> Figure:
    """The best method of each cell, over sample and coverage, a panel for each budget and end."""
    styles = method_styles(list(dict.fromkeys(cells["method"])))
    figure = Figure(figsize=(11, 3.1 * len(ENDS)), layout="constrained")
    panels = figure.subplots(len(ENDS), len(design.STEPS), sharex=True, sharey=True)
    for line, (end, words) in zip(panels, ENDS.items(), strict=True):
        best = with_best(cells, end)
        for axes, steps in zip(line, LEVELS["steps"], strict=True):
            for colour, (method, style) in zip(TEN, styles.items(), strict=False):
                here = best[(best["steps"] == steps) & (best["best"] == method)]
                look = {"color": colour, "marker": style.marker, "s": 34}
                axes.scatter(here["rows"], here["height"], label=method, **look)
            axes.set_xscale("log")
            axes.set_xticks(TICKS, [f"{rows:,}" for rows in TICKS])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xlim(0.8 * TICKS[0], 1.25 * TICKS[-1])
            axes.set_title(f"{words}, {steps} steps", loc="left")
            axes.set_yticks(range(len(COVERAGE)), COVERAGE)
    for axes in panels[-1]:
        axes.set_xlabel("rows of the target sample")
    figure.supylabel("target text in the generic corpus", fontsize=9)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure


def with_best(cells: pd.DataFrame, end: str) -> pd.DataFrame:
    """Each cell with its ``best`` method and its ``height``, spread about its coverage."""
    best = by_method(cells, end).idxmax(axis=1).rename("best").reset_index()
    where = cells.drop(columns="method").drop_duplicates(CELL)
    found = best.merge(where, on=CELL)
    spread = found["target"].map(lambda name: int(design.digest(name), 16) % 1000 / 1000 - 0.5)
    return found.assign(height=found["coverage"].map(COVERAGE.index) + 0.6 * spread)


def level_figure(cells: pd.DataFrame) -> Figure:
    """Mean gain over pretraining of each method at each level of each factor, a panel an end."""
    places = [(factor, level) for factor in FACTORS for level in LEVELS[factor]]
    figure = Figure(figsize=(12, 3.3 * len(ENDS)), layout="constrained")
    panels = figure.subplots(len(ENDS), 1, sharex=True)
    for axes, (end, words) in zip(panels, ENDS.items(), strict=True):
        draw_means(axes, cells[cells["end"] == end], places)
        axes.set_title(f"{words}: mean gain over pretraining, about percent of loss", loc="left")
    names = [f"{factor} {level}" for factor, level in places]
    panels[-1].set_xticks(range(len(places)), names, rotation=45, ha="right")
    return figure


def draw_means(axes: Axes, cells: pd.DataFrame, places: list[tuple[str, str]]) -> None:
    """A matrix of means with their numbers, a line for each method."""
    methods = [method for method in dict.fromkeys(cells["method"]) if method != REFERENCE]
    at_level = [cells[cells[factor] == level] for factor, level in places]
    means = np.array(
        [[some.loc[some["method"] == m, "gain"].mean() for some in at_level] for m in methods]
    )
    axes.imshow(means, cmap="RdBu", vmin=-FURTHEST, vmax=FURTHEST, aspect="auto")
    for (row, column), value in np.ndenumerate(means):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.7 * FURTHEST else "black"
            look = {"ha": "center", "va": "center", "fontsize": 7, "color": colour}
            axes.text(column, row, f"{value:.1f}", **look)
    for edge in np.cumsum([len(LEVELS[factor]) for factor in FACTORS])[:-1]:
        axes.axvline(edge - 0.5, color=GREY, linewidth=1.5)
    axes.set_yticks(range(len(methods)), methods)
    axes.grid(visible=False)
