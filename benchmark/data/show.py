"""What a study's data looks like, for the terminal."""

from __future__ import annotations

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmark.data.prepare import PreparedData
from benchmark.data.tokenizers import load_tokenizer


def describe_data(name: str, data: PreparedData, examples: int) -> RenderableType:
    """Sizes and removed duplicates of each split of target ``name``, and example rows."""
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
    return Group(sizes, *shown)


def _first_rows(data: PreparedData, split: str, count: int) -> np.ndarray:
    view = getattr(data, split)
    return np.asarray(view.tokens(np.arange(min(count, len(view)))))
