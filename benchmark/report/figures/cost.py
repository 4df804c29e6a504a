"""Test loss against everything that a method cost, in FLOPs and in seconds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmark.methods.source import Style
from benchmark.report.figures.panels import (
    RANGE_ALPHA,
    SEEDS_ONE_BY_ONE,
    draw_points,
    legend_below,
    method_handles,
    of_pair,
    panel_grid,
    range_handles,
    say_beyond,
    say_empty,
    stage_handles,
    title_panel,
)
from benchmark.report.figures.style import (
    GREY,
    in_order,
    label_flops,
    label_plainly,
    method_styles,
    power_of_thousand,
    upper_limit,
    use_log_axis,
    wrapped,
)
from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.summary import PAIR, pareto_front
from benchmark.study.stages import STAGES

COSTS = ("flops", "seconds")
LABEL_LETTERS = 44
POOLED = [*COSTS, "test_loss"]


def cost_figure(results: StudyResults) -> Figure:
    """Two panels for each (model, target): the runs, and the front of the best means.

    A point for each seed; with more than `SEEDS_ONE_BY_ONE`, one of their mean, on their range.

    Where there are several, two panels of all come first: the mean of each method's loss and cost
    over those of the reference as trained.
    """
    styles = method_styles(results.methods)
    pooled = _over_reference(results) if len(results.pairs) > 1 else pd.DataFrame()
    count = 2 * (len(results.pairs) + (not pooled.empty))
    figure, panels = panel_grid(count, 2 if count < 8 else 4, (3.7, 3.0), (0.2, 0.8))
    places = iter(zip(panels[::2], panels[1::2], strict=True))
    if not pooled.empty:
        _draw_pooled(next(places), pooled, styles, results)
    for (model, target), both in zip(results.pairs, places, strict=True):
        runs = of_pair(results.stages, model, target)
        for cost, axes in zip(COSTS, both, strict=True):
            if runs.empty:
                say_empty(axes)
                title_panel(axes, results, model, target)
                continue
            _draw_panel(axes, runs, cost, styles)
            axes.set_ylabel(f"test loss ({results.loss_unit})")
            title_panel(axes, results, model, target, _limit_losses(axes, runs))
        if not runs.empty:
            label_flops(both[0], "total cost", power_of_thousand(runs["flops"]))
            label_plainly(both[1], "total cost (seconds)")
    shown = in_order(styles, results.stages["method"])
    methods = method_handles(results, shown, styles, line=False)
    front = Line2D([], [], color=GREY, linestyle=":", label="best for its cost (means)")
    legend_below(figure, [*methods, *stage_handles(), *range_handles(results), front])
    return figure


def _over_reference(results: StudyResults) -> pd.DataFrame:
    """Cost and loss over the reference's as trained: geometric means over seeds, then over pairs.

    A row for each method and stage with a result on every pair that the reference has one on.
    """
    stages = results.stages
    reference = stages[(stages["method"] == results.baseline) & (stages["stage"] == STAGES[0])]
    run = [*PAIR, "seed"]
    runs = stages.merge(reference[[*run, *POOLED]], on=run, suffixes=("", "_of_reference"))
    for name in POOLED:
        runs[name] = np.log(runs[name] / runs[f"{name}_of_reference"])
    by_pair = runs.groupby(["method", "stage", *PAIR], sort=False)[POOLED].mean()
    grouped = by_pair.groupby(["method", "stage"], sort=False)
    complete = grouped.size() == len(reference[PAIR].drop_duplicates())
    return grouped.mean()[complete].apply(np.exp).reset_index()


def _draw_pooled(
    both: tuple[Axes, Axes], pooled: pd.DataFrame, styles: dict[str, Style], results: StudyResults
) -> None:
    whose = f"{results.baseline}'s as trained"
    for cost, unit, axes in zip(COSTS, ("FLOPs", "seconds"), both, strict=True):
        _draw_panel(axes, pooled, cost, styles)
        label_plainly(axes, _on_lines(f"{unit} over {whose}"))
        axes.set_ylabel(_on_lines(f"test loss over {whose}"))
        axes.set_title(f"all {len(results.pairs)} {results.pair_name}s, means", loc="left", pad=16)
        say_beyond(axes, _limit_losses(axes, pooled))


def _on_lines(label: str) -> str:
    """The label of an axis, broken where it is longer than a panel is high."""
    return label if len(label) <= LABEL_LETTERS else wrapped(label, 28)


def _draw_panel(axes: Axes, runs: pd.DataFrame, cost: str, styles: dict[str, Style]) -> None:
    for (method, stage), points in runs.groupby(["method", "stage"], sort=False):
        style, losses = styles[str(method)], points["test_loss"]
        if len(points) <= SEEDS_ONE_BY_ONE:
            draw_points(axes, points[cost], losses, str(stage), style)
            continue
        middle = points[cost].mean()
        extent = Line2D([middle, middle], [losses.min(), losses.max()], color=style.colour)
        axes.add_line(extent).set(linewidth=5, alpha=RANGE_ALPHA, solid_capstyle="butt")
        draw_points(axes, [middle], [losses.mean()], str(stage), style)
    front = pareto_front(runs.assign(flops=runs[cost]))
    x, y = front["flops"].to_numpy(), front["test_loss"].to_numpy()
    axes.step(x, y, where="post", color=GREY, linestyle=":", linewidth=1.2, zorder=1)
    use_log_axis(axes, runs[cost])


def _limit_losses(axes: Axes, runs: pd.DataFrame) -> list[str]:
    """End the axis where most points are; gives the methods that have some beyond."""
    limit, _ = upper_limit(runs["test_loss"])
    lowest = runs["test_loss"].min()
    margin = 0.08 * max(limit - lowest, 0.05)
    axes.set_ylim(lowest - margin, limit + margin)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    return list(runs.loc[~(runs["test_loss"] <= limit), "method"].unique())
