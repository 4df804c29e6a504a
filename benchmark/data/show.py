"""What a study's data looks like, for the terminal."""

from __future__ import annotations

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmark.data.prepare import PreparedData
from benchmark.data.tokenizers import load_tokenizer


def describe_data(name: str, data: PreparedData, examples: int) -> RenderableType:
    """Sizes and removed duplicates of each split of target ``name``, what is left out, rows."""
    report = data.report
    sizes = Table("split", "rows", "documents", "duplicates removed (of split: rows)", title=name)
    for split, rows in report.rows.items():
        removed = ", ".join(f"{k}: {v}" for k, v in report.duplicates_removed[split].items())
        sizes.add_row(split, f"{rows:,}", f"{report.documents[split]:,}", removed or "none")
    decode = load_tokenizer(data.tokenizer).decode
    shown = [
        Text(f"{split}: {decode(row)!r}")
        for split in report.rows
        for row in _first_rows(data, split, examples)
    ]
    notes = [Text(line) for line in left_out_lines(data)]
    return Group(sizes, *notes, *shown)


def left_out_lines(data: PreparedData) -> list[str]:
    """What was not read, or not used, of the generic corpus and of the target, a line each."""
    return [f"{part}: {note}" for part, notes in data.report.left_out.items() for note in notes]


def _first_rows(data: PreparedData, split: str, count: int) -> np.ndarray:
    view = getattr(data, split)
    return np.asarray(view.tokens(np.arange(min(count, len(view)))))
