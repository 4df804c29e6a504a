"""How much of what methods trained on is the same rows: in all, and in the course of training."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from benchmark.methods.source import Style
from benchmark.report.figures.panels import (
    LeftOutError,
    legend_below,
    lines_of,
    method_handles,
)
from benchmark.report.figures.style import method_styles, wrapped
from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.overlap import PERIODS, Overlaps, method_overlaps

CELL_INCHES, LINE_INCHES = 0.42, 0.13
PANEL_INCHES = (2.0, 1.6)
COLUMNS = 4
SHADES = "Blues"


def overlap_figure(results: StudyResults) -> Figure:
    """A matrix of every two methods over all of training, and a panel a method over its course.

    Means over models, targets and seeds of estimates from samples of rows.

    Raises:
        LeftOutError: fewer than two methods have recorded samples.
    """
    overlaps = method_overlaps(results.measured, results.methods)
    if overlaps is None:
        raise LeftOutError(
            "needs samples of the rows trained on, which runs record from this version on, of two "
            "methods or more"
        )
    styles = method_styles(results.methods)
    methods = overlaps.methods
    columns = min(COLUMNS, len(methods))
    lines = math.ceil(len(methods) / columns)
    tall = lines_of(methods, 20)
    square = max(CELL_INCHES, LINE_INCHES * tall + 0.02) * len(methods) + 2.2
    width, height = PANEL_INCHES
    height += LINE_INCHES * max(0, tall - 2)
    size = (square + columns * width, max(square, lines * height) + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(lines, columns + 1, width_ratios=[square, *[width] * columns])
    _draw_matrix(figure.add_subplot(grid[:, 0]), overlaps)
    for number, method in enumerate(methods):
        place = grid[number // columns, number % columns + 1]
        axes = figure.add_subplot(place)
        _draw_course(axes, overlaps, number, styles)
        axes.set_title(wrapped(method, 20), loc="left", fontsize=8.5, color=styles[method].colour)
        axes.tick_params(labelleft=number % columns == 0, labelsize=7.5)
        if number + columns >= len(methods):
            axes.set_xlabel("share of the steps", fontsize=8)
        else:
            axes.tick_params(labelbottom=False)
    legend_below(figure, method_handles(results, methods, styles, line=True))
    return figure


def _draw_matrix(axes: Axes, overlaps: Overlaps) -> None:
    """Every two methods once: rows from the second method on, columns up to the last but one."""
    count = len(overlaps.methods) - 1
    below = np.tri(count, dtype=bool)
    shown = np.where(below, overlaps.whole[1:, :-1], np.nan)
    top = max(float(np.nanmax(shown, initial=0.0)), 0.01)
    axes.imshow(shown, cmap=SHADES, vmin=0, vmax=1.3 * top, aspect="auto")
    for row, column in zip(*np.nonzero(below & np.isfinite(shown)), strict=True):
        share = shown[row, column]
        colour = "white" if share > 0.75 * top else "black"
        text = f"{100 * share:.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    names = [wrapped(name, 20) for name in overlaps.methods]
    axes.set_xticks(range(count), names[:-1], rotation=90, fontsize=8)
    axes.set_yticks(range(count), names[1:], fontsize=8)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title("rows that both trained on (% of those\nthat either did)", loc="left")
    error = 100 * float(np.nanmax(np.where(below, overlaps.errors[1:, :-1], np.nan)))
    axes.set_xlabel(f"standard error of the estimate: up to {error:.1f} points", fontsize=8)


def _draw_course(axes: Axes, overlaps: Overlaps, number: int, styles: dict[str, Style]) -> None:
    middles = (np.arange(PERIODS) + 0.5) / PERIODS
    for other, name in enumerate(overlaps.methods):
        shares = overlaps.course[:, number, other]
        there = np.isfinite(shares)
        if other == number or not there.any():
            continue
        style = styles[name]
        line = Line2D(middles[there], shares[there], color=style.colour, linestyle=style.line)
        line.set(linewidth=1.1, marker=style.marker, markersize=2.5)
        axes.add_line(line)
    apart = ~np.eye(len(overlaps.methods), dtype=bool)
    highest = float(np.nanmax(overlaps.course[:, apart], initial=0.0))
    axes.set(xlim=(0, 1), ylim=(0, max(1.05 * highest, 0.05)))
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
