"""A table and its notes as Markdown, LaTeX (booktabs) and in the terminal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table as TerminalTable
from rich.text import Text

from benchmark.report.blocks import Cell
from benchmark.report.tables import LATEX


@dataclass(frozen=True)
class Table:
    """A title, a head, rows that begin with their name, and the rules of the numbers below."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    notes: tuple[str, ...]


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown, its notes as a list."""
    first, *others = map(_escape_markdown, table.head)
    lines = [[first, *others], [":---", *["---:"] * len(others)]]
    for name, cells in table.rows:
        texts = ((_escape_markdown(cell.text), cell.best) for cell in cells)
        bold = [f"**{text}**" if best else text for text, best in texts]
        lines.append([_escape_markdown(name), *bold])
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = "\n".join(f"- {_escape_markdown(note)}" for note in table.notes)
    return f"## {_escape_markdown(table.title)}\n\n{rows}\n\n{notes}\n"


def latex(table: Table) -> str:
    """The table as a float for ``\\input``, its notes in the caption."""
    caption = " ".join(f"{_escape_latex(text)}." for text in (table.title, *table.notes))
    rows = [
        " & ".join([_escape_latex(name), *map(_latex_cell, cells)]) + r" \\"
        for name, cells in table.rows
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}",
        r"\toprule",
        " & ".join(map(_escape_latex, table.head)) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def terminal(table: Table) -> RenderableType:
    """The table for ``rich.console.Console.print``."""
    grid = TerminalTable(
        title=Text(table.title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for number, name in enumerate(table.head):
        justify: Literal["left", "right"] = "right" if number else "left"
        grid.add_column(Text(name), justify=justify, no_wrap=number == 0, overflow="fold")
    for name, cells in table.rows:
        texts = (Text(cell.text, style="bold" if cell.best else "") for cell in cells)
        grid.add_row(Text(name), *texts)
    return Group(grid, *(Text(note, style="dim") for note in table.notes), Text(""))


def _escape_markdown(text: str) -> str:
    """Keep text from being read as markup; an underscore inside a word is none."""
    return re.sub(r"[\\|*`<]|(?<!\w)_|_(?!\w)", r"\\\g<0>", " ".join(text.split()))


def _escape_latex(text: str) -> str:
    return " ".join(text.split()).translate(LATEX)


def _latex_cell(cell: Cell) -> str:
    text = _escape_latex(cell.text)
    # A hyphen before a digit is a minus sign, unless it joins two numbers.
    text = re.sub(r"(?<!\w)-(?=\d)", "$-$", text)
    return rf"\textbf{{{text}}}" if cell.best else text
