"""Test loss against everything that a method cost."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmark.report.inputs import StudyResults
from benchmark.report.panels import (
    columns_for,
    draw_point,
    legend_below,
    method_handle,
    of_pair,
    panel_grid,
    say_empty,
    stage_handles,
    title_panel,
)
from benchmark.report.style import (
    GREY,
    Style,
    in_order,
    label_flops,
    method_styles,
    power_of_thousand,
    upper_limit,
    use_log_axis,
)
from benchmark.report.summary import pareto_front


def cost_figure(results: StudyResults) -> Figure:
    """A panel for each (model, target): every seed a point, and the front of the best means."""
    styles = method_styles(results.methods)
    pairs = results.pairs
    figure, panels = panel_grid(len(pairs), columns_for(len(pairs)), (3.7, 3.2), (0.2, 0.8))
    for (model, target), axes in zip(pairs, panels, strict=True):
        runs = of_pair(results.stages, model, target)
        if runs.empty:
            say_empty(axes)
            title_panel(axes, results, model, target)
            continue
        _draw_panel(axes, runs, styles)
        axes.set_ylabel(f"test loss ({results.loss_unit})")
        title_panel(axes, results, model, target, _limit_losses(axes, runs))
    shown = in_order(styles, results.stages["method"])
    methods = [method_handle(name, styles[name], line=False) for name in shown]
    front = Line2D([], [], color=GREY, linestyle=":", label="best for its cost (means)")
    legend_below(figure, [*methods, *stage_handles(), front])
    return figure


def _draw_panel(axes: Axes, runs: pd.DataFrame, styles: dict[str, Style]) -> None:
    for _, run in runs.iterrows():
        draw_point(axes, run["flops"], run["test_loss"], run["stage"], styles[run["method"]])
    front = pareto_front(runs)
    x, y = front["flops"].to_numpy(), front["test_loss"].to_numpy()
    axes.step(x, y, where="post", color=GREY, linestyle=":", linewidth=0.9, zorder=1)
    use_log_axis(axes, runs["flops"])
    label_flops(axes, "total cost", power_of_thousand(runs["flops"]))


def _limit_losses(axes: Axes, runs: pd.DataFrame) -> list[str]:
    """End the axis where most points are; gives the methods that have some beyond."""
    limit, _ = upper_limit(runs["test_loss"])
    lowest = runs["test_loss"].min()
    margin = 0.08 * max(limit - lowest, 0.05)
    axes.set_ylim(lowest - margin, limit + margin)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    return list(runs.loc[~(runs["test_loss"] <= limit), "method"].unique())
