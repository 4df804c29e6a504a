"""What the figures share: grids of panels, one a (model, target), their points and legend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from benchmark.methods.source import Style
from benchmark.report.figures.fonts import dress
from benchmark.report.figures.style import GREY, columns_of, wrapped
from benchmark.report.results.collapse import collapsed_places
from benchmark.report.results.inputs import StudyResults
from benchmark.study.collapse import MARK
from benchmark.study.stages import STAGE_NAMES, STAGES

NAMES_IN_A_NOTE = 2
SEEDS_ONE_BY_ONE = 3
"""With more, a figure of curves or of costs shows their mean and range."""
RANGE_ALPHA = 0.15
LEGEND_INCHES = 1.2
"""A legend of this height fits into the margins of every figure."""


class LeftOutError(Exception):
    """Why a study has no such figure."""


def panel_grid(
    panels: int, columns: int, panel_size: tuple[float, float], margin: tuple[float, float]
) -> tuple[Figure, list[Axes]]:
    """A figure with this many panels (inches each) and margins for what surrounds them."""
    rows = math.ceil(panels / columns)
    width, height = panel_size
    size = (columns * width + margin[0], rows * height + margin[1])
    figure = Figure(figsize=size, layout="constrained")
    return figure, [figure.add_subplot(rows, columns, number + 1) for number in range(panels)]


def columns_for(panels: int) -> int:
    """How many panels stand side by side so that the last row is full or nearly so."""
    return 2 if panels == 4 else min(panels, 3)


def of_pair(frame: pd.DataFrame, model: str, target: str) -> pd.DataFrame:
    """The rows of one (model, target)."""
    return frame[(frame["model"] == model) & (frame["target"] == target)]


def pair_name(results: StudyResults, model: str, target: str) -> str:
    """The target, and the model where there are several."""
    return target if len(results.study.models) == 1 else f"{target}, {model}"


def title_panel(
    axes: Axes, results: StudyResults, model: str, target: str, beyond: Sequence[str] = ()
) -> None:
    """Name the target, the model where there are several, and what the axis leaves out."""
    axes.set_title(
        wrapped(pair_name(results, model, target), 40), loc="left", pad=16 if beyond else 6
    )
    say_beyond(axes, beyond)


def say_beyond(axes: Axes, beyond: Sequence[str]) -> None:
    """Note below a panel's title what lies above its axis, if anything does."""
    if beyond:
        axes.annotate(
            _cut_note(beyond),
            (0.0, 1.0),
            xycoords="axes fraction",
            xytext=(0, 5),
            textcoords="offset points",
            fontsize=7.5,
            color=GREY,
        )


def _cut_note(beyond: Sequence[str]) -> str:
    names = [name if len(name) <= 24 else f"{name[:21]}..." for name in beyond[:NAMES_IN_A_NOTE]]
    more = len(beyond) - len(names)
    return f"above the axis: {', '.join(names)}" + (f" and {more} more" if more else "")


def say_empty(axes: Axes) -> None:
    """Mark a panel whose runs have no result."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, "no result", transform=axes.transAxes, ha="center", color=GREY)


def draw_points(axes: Axes, x: ArrayLike, y: ArrayLike, stage: str, style: Style) -> None:
    """Runs of one method: hollow as trained, filled after fine-tuning."""
    points = axes.add_line(Line2D(x, y, linestyle="none", zorder=3, color=style.colour))
    points.set_marker(style.marker)
    points.set_markerfacecolor(_inside(stage, style.colour))


def joined(curves: Iterable[Iterable[float]]) -> list[float]:
    """Several curves as one line with gaps, which is drawn far faster than a line for each."""
    return [value for curve in curves for value in (*curve, math.nan)]


def legend_below(figure: Figure, handles: list[Line2D]) -> None:
    """A legend under all panels with as many columns as its names leave room for.

    The figure grows by what the legend needs beyond the room that figures leave for it.
    """
    lines = (line for handle in handles for line in str(handle.get_label()).split("\n"))
    longest = max(map(columns_of, lines))
    inches_each = 0.6 + 0.075 * longest
    columns = max(1, min(len(handles), int(figure.get_figwidth() / inches_each)))
    settings = {"loc": "outside lower center", "columnspacing": 1.2, "fontsize": 8.5}
    width, height = _add_legend(figure, handles, ncols=columns, **settings)
    while columns > 1 and width > figure.get_figwidth():
        figure.legends[-1].remove()
        columns -= 1
        width, height = _add_legend(figure, handles, ncols=columns, **settings)
    _grow(figure, figure.get_figheight() + height - LEGEND_INCHES)


def legend_beside(figure: Figure, handles: list[Line2D]) -> None:
    """A legend right of all panels; the figure grows to its height."""
    _, height = _add_legend(figure, handles, loc="outside right center")
    _grow(figure, height + 0.1)


def legend_right_of(axes: Axes, handles: list[Line2D]) -> None:
    """A legend right of one panel."""
    legend = axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=7.5
    )
    dress(legend)


def _add_legend(figure: Figure, handles: list[Line2D], **settings: Any) -> tuple[float, float]:
    """Add a legend; gives its width and height in inches."""
    names = [str(handle.get_label()) for handle in handles]
    # Matplotlib leaves out a name that begins with an underscore.
    labels = [name.lstrip("_") or "-" for name in names]
    legend = figure.legend(handles=handles, labels=labels, **settings)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
    dress(legend)
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    size = legend.get_window_extent(renderer)
    return size.width / figure.dpi, size.height / figure.dpi


def _grow(figure: Figure, inches: float) -> None:
    """Make a figure so high, unless it is higher."""
    figure.set_figheight(max(figure.get_figheight(), inches))


def lines_of(names: Iterable[str], width: int) -> int:
    """How many lines the longest of these names takes, wrapped."""
    return max((wrapped(name, width).count("\n") + 1 for name in names), default=1)


def method_handles(
    results: StudyResults, names: Iterable[str], styles: Mapping[str, Style], line: bool
) -> list[Line2D]:
    """Legend entries of methods; those of which the selection of some run collapsed are marked."""
    collapsed = {method for _, _, method in collapsed_places(results)}
    handles = {
        name: method_handle(name, styles[name], line, f" {MARK}" * (name in collapsed))
        for name in names
    }
    return [*handles.values(), *collapse_handles(not collapsed.isdisjoint(handles))]


def collapse_handles(collapsed: bool) -> list[Line2D]:
    """Legend entry of the mark, where anything bears it."""
    label = f"{MARK} selection collapsed"
    return [Line2D([], [], label=label, linestyle="none")] if collapsed else []


def method_handle(name: str, style: Style, line: bool, mark: str = "") -> Line2D:
    """Legend entry of a method, and what stands behind its name."""
    return Line2D(
        [],
        [],
        label=wrapped(name) + mark,
        color=style.colour,
        marker=style.marker,
        linestyle=style.line if line else "none",
    )


def range_handles(results: StudyResults) -> list[Line2D]:
    """Legend entry of the range of the seeds, if they are not shown one by one."""
    if len(results.study.seeds) <= SEEDS_ONE_BY_ONE:
        return []
    label = "range of the seeds, around their mean"
    return [Line2D([], [], label=label, color=GREY, linewidth=7, alpha=RANGE_ALPHA)]


def stage_handles() -> list[Line2D]:
    """Legend entries that tell hollow from filled markers."""
    return [
        Line2D(
            [],
            [],
            label=STAGE_NAMES[stage],
            linestyle="none",
            marker="o",
            color=GREY,
            markerfacecolor=_inside(stage, GREY),
        )
        for stage in STAGES
    ]


def _inside(stage: str, colour: str) -> str:
    return "white" if stage == STAGES[0] else colour
