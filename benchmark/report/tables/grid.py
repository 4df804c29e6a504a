"""Tables as the page sets them: columns that sort as numbers or as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.report.tables.blocks import Block
from benchmark.report.tables.rendering import groups

NUMBER = re.compile(r"<?([+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?)")


@dataclass(frozen=True)
class GridCell:
    """A cell's text; ``number`` is what a numeric column sorts it by, empty where it has none."""

    text: str
    number: str = ""
    best: bool = False
    tied: bool = False


@dataclass(frozen=True)
class GridColumn:
    """A column, sorted as numbers and set flush right if ``numeric``."""

    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Grid:
    """A table; ``groups`` are names with the number of columns below each, the first excepted.

    ``notes`` are the rules of its numbers, without a full stop.
    """

    title: str
    columns: tuple[GridColumn, ...]
    rows: tuple[tuple[GridCell, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()


def grid(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    numeric: Iterable[str] = (),
    rule: str = "",
) -> Grid:
    """A table of texts and numbers; columns named in ``numeric`` sort as numbers."""
    numbers = set(numeric)
    return Grid(
        title=title,
        columns=tuple(GridColumn(name, name in numbers) for name in columns),
        rows=tuple(tuple(_cell(value) for value in row) for row in rows),
        notes=(rule,) if rule else (),
    )


def grid_of_block(block: Block) -> Grid:
    """One of the study's tables."""
    rows = [
        (GridCell(name), *(GridCell(c.text, _number(c.text), c.best, c.tied) for c in cells))
        for name, cells in block.rows
    ]
    columns = [GridColumn(column.name, numeric=True) for column in block.columns]
    return Grid(
        title=block.title,
        columns=(GridColumn(block.corner), *columns),
        rows=tuple(rows),
        groups=tuple(groups(block)),
        notes=block.notes,
    )


def _cell(value: object) -> GridCell:
    if isinstance(value, int):
        return GridCell(f"{value:,}", str(value))
    if isinstance(value, float):
        return GridCell(f"{value:,.1f}", repr(value))
    text = str(value)
    return GridCell(text, _number(text))


def _number(text: str) -> str:
    """The number that a text begins with, as in ``2.31 ± 0.02 (2/3)``, for the page's script."""
    found = NUMBER.match(text)
    return found.group(1).replace(",", "") if found else ""
