"""Test losses of every seed, as trained and after fine-tuning, by method."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmark.methods.source import Line, Style
from benchmark.report.figures.panels import (
    collapse_handles,
    columns_for,
    draw_points,
    joined,
    legend_below,
    lines_of,
    of_pair,
    panel_grid,
    stage_handles,
    title_panel,
)
from benchmark.report.figures.style import GREY, method_styles, upper_limit, wrapped
from benchmark.report.results.collapse import Collapsed, collapsed_places
from benchmark.report.results.inputs import StudyResults
from benchmark.study.collapse import MARK
from benchmark.study.stages import STAGE_NAMES, STAGES

REFERENCE_LINES: dict[str, Line] = {STAGES[0]: "--", STAGES[1]: ":"}
SEED_SPREAD = 0.4
ROW_INCHES, LINE_INCHES = 0.36, 0.15


def final_figure(results: StudyResults) -> Figure:
    """A panel for each (model, target): methods on y, test loss on x, every seed a point."""
    methods, pairs = results.methods, results.pairs
    collapsed = collapsed_places(results)
    columns = columns_for(len(pairs))
    row = max(ROW_INCHES, LINE_INCHES * lines_of(methods, 24) + 0.05)
    size = (3.4, row * len(methods) + 1.0)
    figure, panels = panel_grid(len(pairs), columns, size, (1.2, 0.6))
    for number, ((model, target), axes) in enumerate(zip(pairs, panels, strict=True)):
        runs = of_pair(results.stages, model, target)
        planned = of_pair(results.planned, model, target)
        marked = {
            place[2]: found for place, found in collapsed.items() if place[:2] == (model, target)
        }
        _draw_panel(axes, runs, planned, results, marked)
        labels = [wrapped(method) for method in methods] if number % columns == 0 else []
        axes.set_yticks(range(len(methods)), labels=labels or [""] * len(methods))
        title_panel(axes, results, model, target)
        axes.set_xlabel(f"test loss ({results.loss_unit})")
    marks = collapse_handles(bool(collapsed))
    legend_below(figure, [*stage_handles(), *_reference_handles(results.reference), *marks])
    return figure


def _draw_panel(
    axes: Axes,
    runs: pd.DataFrame,
    planned: pd.DataFrame,
    results: StudyResults,
    collapsed: dict[str, Collapsed],
) -> None:
    styles, seeds = method_styles(results.methods), results.study.seeds
    limit, _ = upper_limit(runs["test_loss"])
    for row, method in enumerate(results.methods):
        of_method = runs[runs["method"] == method]
        offsets = {seed: _offset(place, len(seeds)) for place, seed in enumerate(seeds)}
        _draw_runs(axes, of_method, row + of_method["seed"].map(offsets), styles[method], limit)
        _write_cut_losses(axes, row, of_method, styles[method], limit)
        status = _status(of_method, planned[planned["method"] == method])
        _write_beside(axes, row, [_collapse(collapsed.get(method)), status])
    _draw_reference(axes, runs, results.reference)
    axes.set_ylim(len(results.methods) - 0.4, -0.6)
    if runs.empty:
        axes.set_xticks([])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        span = max(limit - runs["test_loss"].min(), 0.05)
        axes.set_xlim(runs["test_loss"].min() - 0.08 * span, limit + 0.08 * span)


def _offset(position: int, seeds: int) -> float:
    return 0.0 if seeds == 1 else SEED_SPREAD * (position / (seeds - 1) - 0.5)


def _draw_runs(
    axes: Axes, runs: pd.DataFrame, heights: pd.Series[float], style: Style, limit: float
) -> None:
    """Join each run's points; a line that leaves the panel leads to a point beyond its limit."""
    if runs.empty:
        return
    places = runs.groupby("seed").indices.values()
    losses, rows = runs["test_loss"].to_numpy(), heights.to_numpy()
    line = Line2D(
        joined(losses[place] for place in places), joined(rows[place] for place in places)
    )
    line.set(color=style.colour, linewidth=0.8)
    axes.add_line(line)
    stages = runs["stage"].to_numpy()
    for stage in STAGES:
        shown = (stages == stage) & (losses <= limit)
        draw_points(axes, losses[shown], rows[shown], stage, style)


def _write_cut_losses(axes: Axes, row: int, runs: pd.DataFrame, style: Style, limit: float) -> None:
    """Give the losses beyond the panel's limit as numbers, above the lines that lead there."""
    beyond = runs.loc[~(runs["test_loss"] <= limit), "test_loss"]
    if beyond.empty:
        return
    shown = sorted({f"{loss:.2f}" for loss in beyond}, key=float)
    text = shown[0] if len(shown) == 1 else f"{shown[0]} to {shown[-1]}"
    axes.text(
        0.99,
        row - SEED_SPREAD / 2 - 0.08,
        rf"{text} $\rightarrow$",
        transform=axes.get_yaxis_transform(),
        ha="right",
        va="bottom",
        fontsize=7.5,
        color=style.colour,
        parse_math=True,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )


def _draw_reference(axes: Axes, runs: pd.DataFrame, reference: str | None) -> None:
    for stage, line in REFERENCE_LINES.items():
        losses = runs.loc[(runs["method"] == reference) & (runs["stage"] == stage), "test_loss"]
        if not losses.empty:
            axes.axvline(losses.mean(), color=GREY, linestyle=line, linewidth=0.9, zorder=1)


def _collapse(found: Collapsed | None) -> str:
    """The mark of a collapsed selection, and of how many seeds, if not of all."""
    if found is None:
        return ""
    return MARK if len(found.rows) == found.seeds else f"{MARK} {len(found.rows)}/{found.seeds}"


def _status(runs: pd.DataFrame, planned: pd.DataFrame) -> str:
    """How many of the planned seeds a row shows, if not all, and why."""
    done = int((runs["stage"] == STAGES[1]).sum())
    if done == len(planned):
        return ""
    failed = planned[planned["status"] == "failed"]
    text = "pending"
    if not failed.empty:
        step = failed["failed_at_step"].min()
        text = "failed" if pd.isna(step) else f"failed\n(step {step:.0f})"
    return f"{done}/{len(planned)} seeds" if done else text


def _write_beside(axes: Axes, row: int, texts: Iterable[str]) -> None:
    """Right of the panel."""
    axes.text(
        1.02,
        row,
        "\n".join(filter(None, texts)),
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=7.5,
        style="italic",
        color=GREY,
    )


def _reference_handles(reference: str | None) -> list[Line2D]:
    if reference is None:
        return []
    names = (wrapped(f"{reference} {stage}", 40) for stage in STAGE_NAMES.values())
    return [
        Line2D([], [], color=GREY, linewidth=0.9, linestyle=line, label=name)
        for name, line in zip(names, REFERENCE_LINES.values(), strict=True)
    ]
