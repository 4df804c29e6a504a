"""Scores of recommendations as files: Markdown, JSON, CSV of the cells, and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib import style as mpl_style

from benchmark.core.files import write_atomically
from benchmark.diagnostic.recommend.fitting import Cell
from benchmark.diagnostic.recommend.score_blocks import score_blocks, sentences
from benchmark.diagnostic.recommend.score_figure import calibration_figure, gain_figure
from benchmark.diagnostic.recommend.scoring import Scored
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import RC
from benchmark.report.tables.blocks import Block
from benchmark.report.tables.rendering import markdown, markdown_list


def write_scores(
    folder: Path,
    scored: Scored,
    cells: Sequence[Cell],
    studies: Sequence[str],
    left_out: Sequence[str] = (),
) -> tuple[list[Path], list[Block], list[str]]:
    """Write everything into ``folder``; the files, the tables, the conclusions.

    ``left_out``: what could not be measured, in words.
    """
    blocks = score_blocks(scored)
    lines = [*sentences(scored), *(f"left out: {why}" for why in left_out)]
    head = f"# How good recommendations are, on {', '.join(studies)}"
    document = "\n\n".join([head, markdown_list(lines), *map(markdown, blocks)]) + "\n"
    files = {
        folder / "README.md": document,
        folder / "scores.json": json.dumps(_as_json(scored, left_out), indent=1) + "\n",
        folder / "cells.csv": _cells(cells).to_csv(index=False, lineterminator="\n"),
    }
    for file, text in files.items():
        write_atomically(file, text)
    written = list(files)
    with mpl_style.context(["default", RC]):
        written += publish(gain_figure(scored), folder, "gains")
        written += publish(calibration_figure(scored), folder, "calibration")
    return written, blocks, lines


def _as_json(scored: Scored, left_out: Sequence[str]) -> dict[str, object]:
    rows = [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for row in scored.scores.to_dict("records")
    ]
    return {
        "how": scored.how,
        "seen": scored.left_out,
        "left_out": list(left_out),
        "scores": rows,
    }


def _cells(cells: Sequence[Cell]) -> pd.DataFrame:
    """A row for each cell: where it is, its setting and measures, and every gain."""
    return pd.DataFrame(
        [
            {
                "study": cell.study,
                "source": cell.source,
                "target": cell.target,
                **cell.measured.setting.model_dump(),
                **cell.measured.known,
                **{
                    f"{label}_{end}": gain
                    for end, of in cell.gains.items()
                    for label, gain in of.items()
                },
            }
            for cell in cells
        ]
    )
