"""Test loss of one method over that of another, by (model, target), with every seed a point."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from benchmark.methods.source import Style
from benchmark.report.compare.comparison import Comparison, StageComparison, pair_name
from benchmark.report.figures.panels import legend_below, panel_grid
from benchmark.report.figures.style import GREY, method_styles, wrapped
from benchmark.report.results.inputs import StudyResults
from benchmark.study.stages import STAGE_NAMES

SEED_SPREAD = 0.4
MEAN_OF_ALL = "mean of all"


def comparison_figure(comparison: Comparison, results: StudyResults) -> Figure:
    """A panel for each stage: pairs on y, 100 (A / B - 1) on x; their mean and interval below.

    What is left of 0 has the colour of A, which is better there; what is right, that of B.
    """
    pairs = [pair for pair in results.pairs if any(pair in s.pairs for s in comparison.stages)]
    size = (3.6, 0.34 * (len(pairs) + 1) + 1.0)
    figure, panels = panel_grid(len(comparison.stages), len(comparison.stages), size, (1.2, 0.6))
    names = [wrapped(pair_name(pair, results)) for pair in pairs] + [MEAN_OF_ALL]
    for number, (stage, axes) in enumerate(zip(comparison.stages, panels, strict=True)):
        _draw_stage(axes, stage, comparison, results, pairs)
        axes.set_yticks(range(len(names)), labels=[""] * len(names) if number else names)
        axes.set_title(STAGE_NAMES[stage.stage], loc="left")
        axes.set_xlabel(
            f"test loss of {wrapped(comparison.a)}\nagainst {wrapped(comparison.b)} "
            "(difference in %)"
        )
    legend_below(figure, _handles(comparison, results))
    return figure


def _draw_stage(
    axes: Axes,
    stage: StageComparison,
    comparison: Comparison,
    results: StudyResults,
    pairs: list[tuple[str, str]],
) -> None:
    styles = _styles(comparison, results)
    for pair, ratios, mean in zip(stage.pairs, stage.ratios, stage.by_pair, strict=True):
        row = pairs.index(pair)
        for ratio, offset in zip(ratios, _offsets(len(ratios)), strict=True):
            if len(ratios) > 1 and np.isfinite(ratio):
                _draw_point(axes, ratio, row + offset, styles, is_mean=False)
        _draw_point(axes, mean, row, styles, is_mean=True)
    _draw_all(axes, stage, len(pairs))
    axes.axvline(0.0, color=GREY, linewidth=0.9, zorder=1)
    axes.axhline(len(pairs) - 0.5, color=GREY, linewidth=0.6, linestyle=":")
    axes.set_ylim(len(pairs) + 0.6, -0.6)
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:+g}" if x else "0"))


def _styles(comparison: Comparison, results: StudyResults) -> tuple[Style, Style]:
    styles = method_styles(results.methods)
    return styles[comparison.a], styles[comparison.b]


def _offsets(seeds: int) -> list[float]:
    return [SEED_SPREAD * (place / max(seeds - 1, 1) - 0.5) for place in range(seeds)]


def _draw_point(
    axes: Axes, log_ratio: float, y: float, styles: tuple[Style, Style], is_mean: bool
) -> None:
    """A seed (small, hollow) or a pair's mean, drawn as the better method."""
    better = styles[0 if log_ratio < 0 else 1]
    axes.plot(
        [_percent(log_ratio)],
        [y],
        linestyle="none",
        marker=better.marker,
        markersize=7 if is_mean else 4.5,
        color=better.colour,
        markerfacecolor=better.colour if is_mean else "white",
        zorder=3 if is_mean else 4,
    )


def _draw_all(axes: Axes, stage: StageComparison, row: int) -> None:
    if stage.interval is not None:
        bounds = [_percent(float(stage.interval.low)), _percent(float(stage.interval.high))]
        axes.plot(bounds, [row, row], color=GREY, marker="|", markersize=8, linewidth=1.6)
    axes.plot([_percent(stage.mean)], [row], marker="D", color=GREY, linestyle="none", zorder=4)


def _percent(log_ratio: float) -> float:
    return float(100 * np.expm1(log_ratio))


def _handles(comparison: Comparison, results: StudyResults) -> list[Line2D]:
    names = (comparison.a, comparison.b)
    handles = [
        Line2D(
            [],
            [],
            color=style.colour,
            marker=style.marker,
            linestyle="none",
            label=f"{wrapped(name)} is better",
        )
        for name, style in zip(names, _styles(comparison, results), strict=True)
    ]
    if len(results.study.seeds) > 1:
        handles.append(
            Line2D(
                [],
                [],
                color=GREY,
                marker="o",
                markerfacecolor="white",
                linestyle="none",
                label="one seed",
            )
        )
    kinds = sorted({stage.kind for stage in comparison.stages} - {"none"})
    if kinds:
        words = " or ".join(f"other {kind}" for kind in kinds)
        handles.append(Line2D([], [], color=GREY, marker="|", label=f"95% interval, {words}"))
    return handles
