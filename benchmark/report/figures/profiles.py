"""Performance profiles: on which share of the pairs each method is within a factor of the best."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from benchmark.methods.source import Style
from benchmark.report.figures.panels import LeftOutError, legend_below, method_handles, panel_grid
from benchmark.report.figures.style import in_order, method_styles, upper_limit
from benchmark.report.results.inputs import StudyResults
from benchmark.report.statistics.estimates import Array, performance_profile, ratios_to_best
from benchmark.study.stages import STAGE_NAMES, STAGES

FEWEST_PAIRS = 2


def profiles_figure(results: StudyResults) -> Figure:
    """A panel for each stage, a step curve for each method (Dolan and More, 2002).

    Test losses are means over seeds; a pair counts where any method has a result, and a method
    without one there is within no factor of the best.

    Raises:
        LeftOutError: fewer than two pairs have results.
    """
    styles = method_styles(results.methods)
    shown = in_order(styles, results.stages["method"])
    losses = [_losses(results, stage, shown) for stage in STAGES]
    pairs = max(array.shape[1] for array in losses)
    if pairs < FEWEST_PAIRS:
        raise LeftOutError(f"needs results on {FEWEST_PAIRS} targets or more, and has {pairs}")
    figure, panels = panel_grid(len(STAGES), len(STAGES), (4.4, 3.4), (0.2, 0.8))
    for stage, array, axes in zip(STAGES, losses, panels, strict=True):
        _draw_profiles(axes, array, [styles[name] for name in shown])
        axes.set_title(f"{STAGE_NAMES[stage]}, {array.shape[1]} {results.pair_name}s", loc="left")
        axes.set_xlabel("test loss over the best method's")
        axes.set_ylabel(f"share of {results.pair_name}s")
    legend_below(figure, method_handles(results, shown, styles, line=True))
    return figure


def _losses(results: StudyResults, stage: str, methods: list[str]) -> Array:
    """Mean test losses, (methods, pairs), NaN where a method has no result."""
    runs = results.stages[results.stages["stage"] == stage]
    means = runs.pivot_table("test_loss", "method", ["model", "target"], observed=True)
    return means.reindex(methods).to_numpy(dtype=float)


def _draw_profiles(axes: Axes, losses: Array, styles: list[Style]) -> None:
    ratios = ratios_to_best(losses)
    limit, _ = upper_limit(np.nanmax(ratios, axis=1))
    end = limit + 0.05 * max(limit - 1, 0.01)
    taus = np.unique(np.append(ratios[ratios <= end], [1.0, end]))
    for number, (style, shares) in enumerate(
        zip(styles, performance_profile(ratios, taus), strict=True)
    ):
        line = Line2D(taus, shares, drawstyle="steps-post", color=style.colour)
        line.set(linestyle=style.line, marker=style.marker, markersize=4)
        # Set apart where curves coincide.
        line.set_markevery((number % 5 * max(1, len(taus) // 25), max(1, len(taus) // 5)))
        axes.add_line(line)
    axes.set_xlim(1 - 0.02 * (end - 1), end)
    axes.set_ylim(-0.03, 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
