"""A block as Markdown, LaTeX (booktabs) and in the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmark.report.tables.blocks import Block, Cell

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        "±": r"$\pm$",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)


def markdown(block: Block) -> str:
    """The table in GitHub's Markdown, its notes as a list; GitHub underlines what is inserted."""
    lines = [[escape_markdown(name) for name in block.head]]
    lines.append([":---", *["---:"] * len(block.columns)])
    lines += [[escape_markdown(name), *map(_markdown_cell, cells)] for name, cells in block.rows]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {escape_markdown(block.title)}\n\n{rows}\n\n{markdown_list(block.notes)}\n"


def markdown_list(notes: Iterable[str]) -> str:
    """Notes as the points of a list."""
    return "\n".join(f"- {escape_markdown(note)}" for note in notes)


def escape_markdown(text: str) -> str:
    """Keep text from being read as markup; an underscore inside a word is none."""
    one_line = " ".join(text.split())
    return re.sub(r"[\\|*`<\[\]#]|(?<!\w)_|_(?!\w)", r"\\\g<0>", one_line)


def latex(block: Block) -> str:
    """The table as a float for ``\\input``, its notes in the caption."""
    rows = [
        " & ".join([escape_latex(name), *map(_latex_cell, cells)]) + r" \\"
        for name, cells in block.rows
    ]
    names = " & ".join(escape_latex(column.name) for column in block.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_sentences((block.title, *block.notes))}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(block.columns)}}}",
        r"\toprule",
        *_latex_groups(block),
        rf"{escape_latex(block.corner)} & {names} \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex_sentences(notes: Iterable[str]) -> str:
    """Notes in one paragraph."""
    return " ".join(f"{escape_latex(note)}." for note in notes)


def escape_latex(text: str) -> str:
    """Text for LaTeX; signs other than accented letters may be unknown to its encoding."""
    escaped = " ".join(text.split()).translate(LATEX)
    return "".join(c if ord(c) < 0x250 else f"[U+{ord(c):04X}]" for c in escaped)


def terminal(block: Block) -> RenderableType:
    """The table and its notes for ``rich.console.Console.print``."""
    grouped = any(column.group for column in block.columns)
    table = Table(
        title=Text(block.title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column(Text(f"\n{block.corner}" if grouped else block.corner), no_wrap=True)
    shown = ""
    right: Literal["right"] = "right"
    for column in block.columns:
        group = column.group if column.group != shown else ""
        name = f"{group}\n{column.name}" if grouped else column.name
        table.add_column(Text(name), justify=right, overflow="fold")
        shown = column.group
    for name, cells in block.rows:
        table.add_row(Text(name), *(Text(cell.text, style=_style(cell)) for cell in cells))
    return Group(table, *(Text(note, style="dim") for note in block.notes), Text(""))


def groups(block: Block) -> list[tuple[str, int]]:
    """Names above the columns with the number of columns below each; none without a name."""
    runs = [(name, len(list(same))) for name, same in groupby(c.group for c in block.columns)]
    return runs if any(name for name, _ in runs) else []


def _markdown_cell(cell: Cell) -> str:
    text = escape_markdown(cell.text)
    if cell.best:
        return f"**{text}**"
    return f"<ins>{text}</ins>" if cell.tied else text


def _latex_groups(block: Block) -> list[str]:
    """The line of names above the columns, and a rule under each."""
    found = groups(block)
    if not found:
        return []
    spans = (f"\\multicolumn{{{width}}}{{c}}{{{escape_latex(name)}}}" for name, width in found)
    rules, first = [], 2
    for name, width in found:
        if name:
            rules.append(f"\\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    return [rf" & {' & '.join(spans)} \\", "".join(rules)]


def _latex_cell(cell: Cell) -> str:
    text = escape_latex(cell.text)
    # A hyphen before a digit is a minus sign, unless it joins two numbers.
    text = re.sub(r"(?<!\w)-(?=\d)", "$-$", text)
    text = re.sub(r"([\d.]+)e(-?)0*(\d+)", r"$\1\\times10^{\2\3}$", text)
    if cell.best:
        return rf"\textbf{{{text}}}"
    return rf"\underline{{{text}}}" if cell.tied else text


def _style(cell: Cell) -> str:
    if cell.best:
        return "bold"
    return "underline" if cell.tied else ""
