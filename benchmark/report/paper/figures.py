"""Figures of the published runs: learning curves, and what a target gain costs elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib import style as mpl_style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from benchmark.methods.source import Style
from benchmark.report.figures.panels import legend_below, method_handle, panel_grid
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import GREY, RC, method_styles
from benchmark.report.paper.numbers import SECONDS_AN_HOUR
from benchmark.report.paper.reference import Reference

COLUMNS = 5
PANEL = (2.45, 2.4)
ROUND_STEPS = (1, 2, 2.5, 5, 10)
MARKERS_A_CURVE = 5
# Share of the longest run after which every loss is on the axis.
FIRST_STEPS = 0.15
FIRST_HOURS = 0.5
HOURS = (1, 3, 10, 30, 100)


def write_figures(
    reference: Reference, trained: pd.DataFrame, timed: pd.DataFrame, folder: Path
) -> list[Path]:
    """Write every figure as PNG and PDF into ``folder/figures``.

    ``trained`` and ``timed`` are the rows of `numbers.as_trained` and `numbers.at_equal_time`.
    """
    budgets = dict(zip(timed["target"], timed["budget"], strict=True))
    drawings: dict[str, Callable[[], Figure]] = {
        "curves": lambda: curves_figure(reference, {}),
        "curves-by-time": lambda: curves_figure(reference, budgets),
        "trade-off": lambda: trade_off_figure(reference, trained),
    }
    files = []
    with mpl_style.context(["default", RC]):
        for name, draw in drawings.items():
            files += publish(draw(), folder, name)
    return files


def curves_figure(reference: Reference, budgets: dict[str, float]) -> Figure:
    """Target loss of every run, a panel a target: by step, or by hour if there are budgets."""
    styles = method_styles(reference.methods)
    by_time = bool(budgets)
    figure, panels = panel_grid(len(reference.targets), COLUMNS, PANEL, (0.0, 0.7))
    for number, (target, axes) in enumerate(zip(reference.targets, panels, strict=True)):
        curves = reference.curves[reference.curves["target"] == target]
        for (method, _), curve in curves.groupby(["method", "run_id"], sort=False):
            x = curve["seconds"] / SECONDS_AN_HOUR if by_time else curve["step"] / 1000
            _draw_curve(axes, x, curve["target_loss"], styles[str(method)], by_time)
        if by_time:
            axes.axvline(budgets[target], color=GREY, linestyle="--", linewidth=0.9, zorder=1)
        _limit_losses(axes, curves)
        _use_round_ticks(axes)
        if by_time:
            _use_hours(axes, curves)
        axes.set_title(target, loc="left")
        axes.set_xlabel("training time (hours)" if by_time else "training step (thousands)")
        _label_first(axes, number, "target loss (nats/byte)")
    handles = [method_handle(name, styles[name], line=True) for name in reference.methods]
    if by_time:
        handles.append(Line2D([], [], color=GREY, linestyle="--", linewidth=0.9, label="budget"))
    legend_below(figure, handles)
    return figure


def trade_off_figure(reference: Reference, trained: pd.DataFrame) -> Figure:
    """Generic against target loss as trained, a panel a target, a point a method."""
    styles = method_styles(reference.methods)
    figure, panels = panel_grid(len(reference.targets), COLUMNS, PANEL, (0.0, 0.7))
    for number, (target, axes) in enumerate(zip(reference.targets, panels, strict=True)):
        for _, run in trained[trained["target"] == target].iterrows():
            style = styles[run["method"]]
            (point,) = axes.plot([run["target_loss"]], [run["generic_loss"]], linestyle="none")
            point.set(color=style.colour, marker=style.marker, zorder=3)
        axes.set_title(target, loc="left")
        axes.margins(0.1)
        _use_round_ticks(axes)
        axes.set_xlabel("target loss (nats/byte)")
        _label_first(axes, number, "generic loss (nats/byte)")
    legend_below(
        figure, [method_handle(name, styles[name], line=False) for name in reference.methods]
    )
    return figure


def _draw_curve(
    axes: Axes, x: pd.Series[float], losses: pd.Series[float], style: Style, holds: bool
) -> None:
    """Draw one curve; ``holds``: a loss holds until the next is logged, as long as that takes."""
    (line,) = axes.plot(x.to_numpy(), losses.to_numpy(), linewidth=1.1, markersize=3.5)
    line.set_drawstyle("steps-post" if holds else "default")
    line.set(color=style.colour, linestyle=style.line, marker=style.marker)
    line.set_markevery(max(1, len(x) // MARKERS_A_CURVE))


def _limit_losses(axes: Axes, curves: pd.DataFrame) -> None:
    """End the axis above the losses that follow the first steps."""
    late = curves[curves["step"] > FIRST_STEPS * curves["step"].max()]
    lowest, highest = curves["target_loss"].min(), late["target_loss"].max()
    margin = 0.06 * (highest - lowest)
    axes.set_ylim(lowest - margin, highest + margin)


def _use_round_ticks(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND_STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=ROUND_STEPS))


def _use_hours(axes: Axes, curves: pd.DataFrame) -> None:
    """A logarithmic axis on which the quickest run is seen as well as the longest."""
    hours = curves["seconds"] / SECONDS_AN_HOUR
    axes.set_xscale("log")
    axes.set_xlim(FIRST_HOURS, 1.1 * hours.max())
    axes.set_xticks([hour for hour in HOURS if hour < hours.max()])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())


def _label_first(axes: Axes, number: int, label: str) -> None:
    if number % COLUMNS == 0:
        axes.set_ylabel(label)
