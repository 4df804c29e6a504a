"""What a study's data looks like, for the terminal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmark.core.spelling import visible
from benchmark.data.prepare import PreparedData

EXAMPLE_CHARACTERS = 60

Shown = Callable[[np.ndarray], str]
"""What writes a row as a line."""


def describe_data(name: str, data: PreparedData, examples: int, shown: Shown) -> RenderableType:
    """Sizes and removed duplicates of each split of target ``name``, what is left out, rows.

    ``examples``: rows shown of each split, as ``shown`` writes them; if any, some near-duplicates
    too.
    """
    report = data.report
    sizes = Table("split", "rows", "documents", "duplicates removed (of split: rows)", title=name)
    near = report.near_duplicates
    if near is not None:
        sizes.add_column("near-duplicates removed (of split: rows)")
    for split, rows in report.rows.items():
        cells = [_counts(report.duplicates_removed[split])]
        cells += [] if near is None else [_counts(near.removed.get(split, {}))]
        sizes.add_row(split, f"{rows:,}", f"{report.documents[split]:,}", *cells)
    first = [
        Text(f"{split}: {shown(row)!r}")
        for split in report.rows
        for row in _first_rows(data, split, examples)
    ]
    notes = [Text(visible(line)) for line in left_out_lines(data)]
    alike = [Text(line) for line in near_lines(data, shown)] if examples else []
    return Group(sizes, *notes, *alike, *first)


def near_lines(data: PreparedData, shown: Shown) -> list[str]:
    """Some near-duplicates that were removed beside what they are near to, shortened."""
    near = data.report.near_duplicates
    return [
        f"removed from {found.split}, {found.kind} near to {found.near_to} "
        f"({found.similarity:.2f}): {_shortened(shown(_row(data, found.split, found.row)))} | "
        f"{_shortened(shown(_row(data, found.near_to, found.held_row)))}"
        for found in (near.examples if near is not None else ())
    ]


def left_out_lines(data: PreparedData) -> list[str]:
    """What was not read, or not used, of the generic corpus and of the target, a line each."""
    parts = {**data.report.left_out, "splits": data.report.notes}
    return [f"{part}: {note}" for part, notes in parts.items() for note in notes]


def _counts(removed: dict[str, int]) -> str:
    return ", ".join(f"{split}: {rows}" for split, rows in removed.items()) or "none"


def _shortened(text: str) -> str:
    return repr(text if len(text) <= EXAMPLE_CHARACTERS else text[: EXAMPLE_CHARACTERS - 1] + "…")


def _row(data: PreparedData, split: str, place: int) -> np.ndarray:
    return np.asarray(getattr(data, split).store.tokens[place])


def _first_rows(data: PreparedData, split: str, count: int) -> np.ndarray:
    view = getattr(data, split)
    return np.asarray(view.tokens(np.arange(min(count, len(view)))))
