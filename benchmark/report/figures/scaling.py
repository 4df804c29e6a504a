"""Test loss against FLOPs over models of several sizes, with fitted power laws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmark.methods.source import Style
from benchmark.report.figures.panels import (
    LeftOutError,
    legend_right_of,
    lines_of,
    method_handle,
    panel_grid,
    say_beyond,
    say_empty,
)
from benchmark.report.figures.style import (
    label_flops,
    method_styles,
    power_of_thousand,
    upper_limit,
    use_log_axis,
    wrapped,
)
from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.scaling import Scaling, model_sizes, scalings
from benchmark.report.statistics.power_law import FEWEST_POINTS

PANEL_INCHES, LINE_INCHES = (7.6, 3.0), 0.15
ON_A_CURVE = 60
SIDES = 0.15


def scaling_figure(results: StudyResults) -> Figure:
    """A panel for each target, a curve for each method: a point a model, the mean over seeds.

    Beside a panel stand the curves that are drawn, as functions of the FLOPs C.

    Raises:
        LeftOutError: all models are of one size.
    """
    sizes = model_sizes(results)
    if len(sizes) < 2:
        raise LeftOutError(
            "needs results of models of two sizes or more to fit a curve over FLOPs to; here, "
            f"all have {next(iter(sizes)):,} parameters"
        )
    found = scalings(results)
    styles = method_styles(results.methods)
    exponent = power_of_thousand(
        flops for methods in found.values() for one in methods.values() for flops in one.flops
    )
    lines = len(results.methods) * (lines_of(results.methods, 24) + 1)
    width, height = PANEL_INCHES
    size = (width, max(height, LINE_INCHES * (lines + 2)))
    figure, panels = panel_grid(len(found), 1, size, (0.0, 0.0))
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        # Text is a little wider where it is saved than where it was laid out.
        engine.set(w_pad=SIDES)
    for (target, methods), axes in zip(found.items(), panels, strict=True):
        beyond: list[str] = []
        if methods:
            beyond = _draw_panel(axes, methods, styles)
            label_flops(axes, f"cost C of training, {len(sizes)} sizes", exponent)
            axes.set_ylabel(f"test loss as trained ({results.loss_unit})")
            legend_right_of(axes, _handles(methods, styles, exponent))
        else:
            say_empty(axes)
        axes.set_title(wrapped(target, 40), loc="left", pad=16 if beyond else 6)
        say_beyond(axes, beyond)
    return figure


def _draw_panel(
    axes: Axes, methods: Mapping[str, Scaling], styles: Mapping[str, Style]
) -> list[str]:
    """Draw points and curves; gives the methods that have points above the axis."""
    for name, scaling in methods.items():
        style = styles[name]
        points = axes.add_line(Line2D(scaling.flops, scaling.losses, linestyle="none", zorder=3))
        points.set(color=style.colour, marker=style.marker, markerfacecolor="white")
        if scaling.fit is not None:
            along = np.geomspace(scaling.flops[0], scaling.flops[-1], ON_A_CURVE)
            curve = axes.add_line(Line2D(along, scaling.fit.loss_at(along), linewidth=1.1))
            curve.set(color=style.colour, linestyle=style.line)
    use_log_axis(axes, _values(scaling.flops for scaling in methods.values()))
    limit, _ = upper_limit(_values(scaling.losses for scaling in methods.values()))
    lowest = min(_values(scaling.losses for scaling in methods.values()))
    margin = 0.08 * max(limit - lowest, 0.05)
    axes.set_ylim(lowest - margin, limit + margin)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    return [name for name, scaling in methods.items() if not (scaling.losses <= limit).all()]


def _values(arrays: Iterable[Iterable[float]]) -> list[float]:
    return [value for array in arrays for value in array]


def _handles(
    methods: Mapping[str, Scaling], styles: Mapping[str, Style], exponent: int
) -> list[Line2D]:
    unit = 10.0**exponent
    return [
        method_handle(name, styles[name], line=True, mark=f"\n  {_formula(scaling, unit)}")
        for name, scaling in methods.items()
    ]


def _formula(scaling: Scaling, unit: float) -> str:
    """The fitted curve, C in units of the axis."""
    if scaling.fit is None:
        return "does not fall" if scaling.flops.size > 1 else "one size: no curve"
    fit = scaling.fit
    scale = float(fit.scale * (fit.unit / unit) ** fit.exponent)
    floor = f"{float(fit.floor):.3f} + " if scaling.flops.size >= FEWEST_POINTS else ""
    return f"{floor}{scale:.3g} C^-{float(fit.exponent):.3f}"
