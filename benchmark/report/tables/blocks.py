"""Tables before they are set: titles, columns, cells of text, and how numbers become text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NOTHING = "-"


@dataclass(frozen=True)
class Cell:
    """What stands at a row and column; the best is set in bold, what is tied with it underlined."""

    text: str
    best: bool = False
    tied: bool = False


@dataclass(frozen=True)
class Column:
    """A column's name and the name that it shares with its neighbours, empty for none."""

    group: str
    name: str


Row = tuple[str, tuple[Cell, ...]]


@dataclass(frozen=True)
class Block:
    """One table: rows that begin with their name, and the rules of the numbers below.

    ``corner`` is the head of the rows' names; notes end without a full stop.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    corner: str = "method"

    @property
    def head(self) -> tuple[str, ...]:
        """The corner and the columns' full names, in one line."""
        names = (f"{column.group}: {column.name}" for column in self.columns)
        plain = (column.name for column in self.columns)
        pairs = zip(self.columns, names, plain, strict=True)
        return (self.corner, *(full if column.group else name for column, full, name in pairs))


def ungrouped(names: Iterable[str]) -> tuple[Column, ...]:
    """Columns that stand for themselves."""
    return tuple(Column("", name) for name in names)


def rows_of_columns(names: Sequence[str], columns: Iterable[Sequence[Cell]]) -> tuple[Row, ...]:
    """Rows with these names from the cells of each column."""
    return tuple(zip(names, zip(*columns, strict=True), strict=True))


def number(value: float, form: str) -> str:
    """A number as text (``form`` as of `format`), or the sign for nothing if it is NaN."""
    return NOTHING if math.isnan(value) else format(value, form).replace("e+", "e")


def change(log_ratio: float) -> str:
    """A log ratio of losses in percent, with its sign."""
    if math.isnan(log_ratio):
        return NOTHING
    text = f"{100 * math.expm1(log_ratio):+.1f}%"
    return "0.0%" if text[1:] == "0.0%" else text


def bounds(low: float, high: float) -> str:
    """An interval of a log ratio in percent, or the sign for nothing if it bounds nothing."""
    bounded = math.isfinite(low) and math.isfinite(high)
    return f"{change(low)} to {change(high)}" if bounded else NOTHING


def p_value(p: float) -> str:
    """A p-value to three decimals."""
    return "<0.001" if p < 0.0005 else number(p, ".3f")
