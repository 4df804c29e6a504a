"""Valid loss in the course of training, against steps and against FLOPs."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmark.methods.source import Style
from benchmark.report.figures.panels import (
    RANGE_ALPHA,
    SEEDS_ONE_BY_ONE,
    joined,
    legend_below,
    method_handles,
    of_pair,
    panel_grid,
    range_handles,
    say_empty,
    title_panel,
)
from benchmark.report.figures.style import (
    GREY,
    in_order,
    label_flops,
    method_styles,
    power_of_thousand,
    upper_limit,
)
from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.summary import budgets, training_metrics
from benchmark.study.stages import STAGES

FIRST_STEPS = 0.2
MARKERS_A_CURVE = 6


def curves_figure(results: StudyResults) -> Figure:
    """Two panels for each (model, target), as trained only.

    A curve for each seed; with more than `SEEDS_ONE_BY_ONE`, one of their mean, in their range.
    """
    styles = method_styles(results.methods)
    training = results.metrics[results.metrics["stage"] == STAGES[0]]
    pairs = results.pairs
    budget = budgets(training_metrics(results.metrics, results.stages), results.reference)
    columns = 2 if len(pairs) < 4 else 4
    figure, panels = panel_grid(2 * len(pairs), columns, (3.7, 2.9), (0.0, 0.8))
    for number, (model, target) in enumerate(pairs):
        curves = of_pair(training, model, target)
        left, right = panels[2 * number : 2 * number + 2]
        if curves.empty:
            for axes in (left, right):
                say_empty(axes)
                title_panel(axes, results, model, target)
            continue
        for axes, x in ((left, "step"), (right, "flops")):
            _draw_curves(axes, curves, x, styles)
            axes.set_ylabel(f"valid loss ({results.loss_unit})")
            title_panel(axes, results, model, target, _limit_losses(axes, curves))
        left.set_xlabel("training step")
        label_flops(right, "cost so far", power_of_thousand(curves["flops"]))
        if (model, target) in budget.index:
            _draw_budget(right, float(budget.loc[(model, target)]))
    shown = in_order(styles, training["method"])
    handles = method_handles(results, shown, styles, line=True)
    budget_line = Line2D([], [], color=GREY, linestyle="--", linewidth=0.9)
    budget_line.set_label("budget at equal cost")
    legend_below(figure, [*handles, *range_handles(results), budget_line])
    return figure


def _draw_curves(axes: Axes, curves: pd.DataFrame, x: str, styles: dict[str, Style]) -> None:
    for method, runs in curves.groupby("method", sort=False):
        style = styles[str(method)]
        if runs["seed"].nunique() > SEEDS_ONE_BY_ONE:
            every = [_draw_range(axes, runs, x, style)]
        else:
            every = [run for _, run in runs.groupby("seed", sort=False)]
        x_values, y_values = (joined(run[name] for run in every) for name in (x, "valid_loss"))
        line = Line2D(x_values, y_values, linewidth=1.1, markersize=3.5)
        line.set(color=style.colour, linestyle=style.line, marker=style.marker)
        line.set_markevery(max(1, len(every[0]) // MARKERS_A_CURVE))
        axes.add_line(line)
    axes.autoscale_view()
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(6))


def _draw_range(axes: Axes, runs: pd.DataFrame, x: str, style: Style) -> pd.DataFrame:
    """Shade between the lowest and the highest seed; gives the means of those at each step."""
    by_step = runs.groupby(runs["step"].rename("at"))
    means, losses = by_step[[x, "valid_loss"]].mean(), by_step["valid_loss"]
    axes.fill_between(
        means[x], losses.min(), losses.max(), color=style.colour, alpha=RANGE_ALPHA, linewidth=0
    )
    return means


def _draw_budget(axes: Axes, flops: float) -> None:
    axes.axvline(flops, color=GREY, linestyle="--", linewidth=0.9, zorder=1)


def _limit_losses(axes: Axes, curves: pd.DataFrame) -> list[str]:
    """End the axis where the curves are readable; gives what is beyond it.

    The first steps, where every loss is high, do not count; nor does a method that diverges.
    """
    late = curves[curves["step"] > FIRST_STEPS * curves["step"].max()]
    limit, _ = upper_limit(late.groupby("method")["valid_loss"].max())
    lowest = curves["valid_loss"].min()
    margin = 0.06 * max(limit - lowest, 0.05)
    axes.set_ylim(lowest - margin, limit + margin)
    beyond = late.loc[~(late["valid_loss"] <= limit), "method"].unique()
    if beyond.size:
        return list(beyond)
    return ["first steps"] if (curves["valid_loss"] > limit + margin).any() else []
