"""The reference alignment matrix on one page: every pair of checkpoints, and fine-tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import style as mpl_style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from benchmark.diagnostic.matrix import KINDS, MatrixPair, ReferenceMatrix
from benchmark.diagnostic.records import DiagnosisRecord
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import COLOURS, GREY, RC, wrapped

COLOUR = {"target": COLOURS[4], "generic": COLOURS[2]}
MOST_SHOWN = 4
"""Checkpoints of which pairs are drawn, the last ones; the JSON holds all."""


def write_matrix_figure(folder: Path, record: DiagnosisRecord) -> list[Path]:
    """Draw a diagnosis' matrix as PNG and PDF into ``folder/figures``; nothing without one."""
    if record.reference_matrix is None:
        return []
    with mpl_style.context(["default", RC]):
        figure = matrix_figure(record, record.reference_matrix)
        return publish(figure, folder, f"{record.stem}-reference-matrix")


def matrix_figure(record: DiagnosisRecord, matrix: ReferenceMatrix) -> Figure:
    """For each pair of checkpoints, how held-out rows lie along directions; below, fine-tuning."""
    labels = [checkpoint.label for checkpoint in record.checkpoints][-MOST_SHOWN:]
    count = len(labels)
    height = 2.1 * count + 3.2
    layout = ConstrainedLayoutEngine(rect=(0, 0.3 / height, 1, 1 - 0.95 / height))
    figure = Figure(figsize=(max(7.5, 3.2 * count), height), layout=layout)
    rows = figure.add_gridspec(count + 1, count)
    for pair in matrix.pairs:
        if pair.rows_at in labels and pair.directions_at in labels:
            place = labels.index(pair.rows_at), labels.index(pair.directions_at)
            axes = figure.add_subplot(rows[place])
            _draw_pair(axes, pair)
    _draw_displacement(figure.add_subplot(rows[count, :]), matrix)
    figure.text(0.01, 1 - 0.25 / height, _heading(record), weight="bold", va="center", fontsize=10)
    figure.text(0.01, 1 - 0.52 / height, _explanation(matrix), va="center", fontsize=8)
    handles = [Patch(color=COLOUR[kind], label=f"held-out {kind} rows") for kind in KINDS]
    figure.legend(handles=handles, loc="lower right", ncols=2, fontsize=8)
    return figure


def _draw_pair(axes: Axes, pair: MatrixPair) -> None:
    """A box for each kind of direction and row: every entry of that block of the matrix."""
    for place, of in enumerate(KINDS):
        for shift, kind in zip((-0.2, 0.2), KINDS, strict=True):
            _box(axes, np.ravel(pair.values[of][kind]), place + shift, COLOUR[kind])
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xticks(range(len(KINDS)), [f"{kind} directions" for kind in KINDS], fontsize=8)
    axes.ticklabel_format(axis="y", scilimits=(-2, 2))
    axes.set_title(
        f"rows at {wrapped(pair.rows_at)}, directions at {wrapped(pair.directions_at)}",
        loc="left",
        fontsize=8,
    )


def _draw_displacement(axes: Axes, matrix: ReferenceMatrix) -> None:
    for place, part in enumerate(matrix.displacement):
        for shift, kind in zip((-0.2, 0.2), KINDS, strict=True):
            values = np.array(matrix.displacement[part][kind])
            _box(axes, values, place + shift, COLOUR[kind])
    axes.axhline(0, color=GREY, linewidth=0.8)
    names = [wrapped(part, 14) for part in matrix.displacement]
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.ticklabel_format(axis="y", scilimits=(-2, 2))
    axes.set_title(
        f"agreement with a short fine-tuning from {wrapped(matrix.displacement_at)}, by part of "
        "the parameters",
        loc="left",
        fontsize=8,
    )


def _box(axes: Axes, values: np.ndarray, place: float, colour: str) -> None:
    axes.boxplot(
        values,
        positions=[place],
        widths=0.3,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": colour, "alpha": 0.6, "edgecolor": GREY},
        medianprops={"color": "black"},
        manage_ticks=False,
    )


def _heading(record: DiagnosisRecord) -> str:
    name = wrapped(record.target, 60)
    return f"{name}: reference alignment matrix ({record.model}, seed {record.seed})"


def _explanation(matrix: ReferenceMatrix) -> str:
    return (
        f"As the public code of arXiv 2311.11973 computes it, batches of {matrix.batch_rows}; "
        "boxes: quartiles, 5% and 95%. It decides nothing: the rule is ours."
    )
