"""Small multiples of shares that change over training: rows of cells, each a stack of bands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from benchmark.report.figures.panels import legend_below, panel_grid
from benchmark.report.figures.style import GREY, shortened, wrapped
from benchmark.report.statistics.estimates import Array

GAP = 0.05
CELL_INCHES = (0.86, 1.15)
LEAST_WIDTH = 4.0


@dataclass(frozen=True)
class Cell:
    """Shares over training: at ``progress`` (times,), of 0 to 1, ``shares`` (times, bands).

    A share is of what was since the time before; ``colours`` are the bands', from the bottom.
    ``line`` (times,) is one more share, drawn above them; ``mark`` stands in the corner.
    """

    progress: Array
    shares: Array
    colours: Sequence[str]
    line: Array | None = None
    mark: str = ""


def cells_figure(
    rows: Mapping[str, Sequence[Cell | None]], columns: Sequence[str], labels: tuple[str, str]
) -> Figure:
    """A row of cells for each name, ``columns`` of them; None is a cell without anything to show.

    ``labels`` are those of the shares and of the time within a cell.
    """
    width, height = CELL_INCHES
    margin = (2.2, 0.5 + 0.16 * max(wrapped(name, 11).count("\n") for name in columns) + 1.0)
    wide = max(width * len(columns), LEAST_WIDTH)
    figure, panels = panel_grid(len(rows), 1, (wide, height), margin)
    for (name, cells), axes in zip(rows.items(), panels, strict=True):
        _draw_cells(axes, cells)
        axes.set_ylabel(wrapped(name, 18), rotation=0, ha="right", va="center")
        axes.set_xticks([])
    names = [wrapped(column, 11) for column in columns]
    panels[0].set_xticks([number + 0.5 for number in range(len(columns))], names, fontsize=8)
    panels[0].tick_params("x", top=False, bottom=False, labeltop=True, labelbottom=False)
    panels[-1].set_xlabel("\n".join(labels))
    return figure


def _draw_cells(axes: Axes, cells: Sequence[Cell | None]) -> None:
    bands, colours, lines = [], [], []
    for number, cell in enumerate(cells):
        if cell is None:
            axes.text(number + 0.5, 0.5, "none", ha="center", va="center", fontsize=8, color=GREY)
            continue
        # The first share is that of the time since the beginning.
        times = np.concatenate([[0.0], cell.progress])
        x = number + GAP + (1 - 2 * GAP) * times
        shares = np.vstack([cell.shares[:1], cell.shares])
        edges = np.cumsum(np.column_stack([np.zeros(len(x)), shares]), axis=1)
        for band, colour in enumerate(cell.colours):
            below, above = edges[:, band], edges[:, band + 1]
            bands.append(np.column_stack([[*x, *x[::-1]], [*below, *above[::-1]]]))
            colours.append(colour)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        if cell.mark:
            corner = number + 1 - GAP
            axes.text(corner, 1, cell.mark, ha="right", va="top", fontsize=8, bbox=box)
        if cell.line is not None:
            lines.append(np.column_stack([x[1:], cell.line]))
    axes.add_collection(PolyCollection(bands, facecolors=colours, linewidths=0))
    axes.add_collection(LineCollection(lines, colors="white", linewidths=2.6))
    axes.add_collection(LineCollection(lines, colors="black", linewidths=1.2))
    axes.set(xlim=(0, len(cells)), ylim=(0, 1))
    axes.set_yticks([0, 0.5, 1])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)


def bands_legend(figure: Figure, bands: Mapping[str, str], more: Iterable[Line2D] = ()) -> None:
    """A legend of bands, by name their colours, and of what else is drawn."""
    handles = [
        Line2D([], [], label=wrapped(shortened(name)), color=colour, marker="s", linestyle="none")
        for name, colour in bands.items()
    ]
    legend_below(figure, [*handles, *more])
