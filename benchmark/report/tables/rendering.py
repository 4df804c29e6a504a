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

from benchmark.core.spelling import visible
from benchmark.report.tables.blocks import Block, Cell
from benchmark.study.collapse import MARK

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedblright{}",
        "±": r"$\pm$",
        MARK: r"\ddag{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)
# What TeX draws as another sign, as it does two hyphens as a dash.
LIGATURES = re.compile(r"-(?=-)|'(?=')|`(?=`)|[!?](?=`)|,(?=,)")


def markdown(block: Block) -> str:
    """The table in GitHub's Markdown, its notes as a list; GitHub underlines what is inserted."""
    rows = ((escape_markdown(name), *map(_markdown_cell, cells)) for name, cells in block.rows)
    lines = "\n".join(_markdown_lines(map(escape_markdown, block.head), rows, names=1))
    return f"## {escape_markdown(block.title)}\n\n{lines}\n\n{markdown_list(block.notes)}\n"


def markdown_rows(head: Iterable[str], rows: Iterable[Iterable[str]], names: int = 1) -> list[str]:
    """The lines of a table of plain texts, the first ``names`` columns of which are flush left."""
    escaped = (map(escape_markdown, row) for row in rows)
    return _markdown_lines(map(escape_markdown, head), escaped, names)


def _markdown_lines(head: Iterable[str], rows: Iterable[Iterable[str]], names: int) -> list[str]:
    first = list(head)
    rules = [":---"] * names + ["---:"] * (len(first) - names)
    return [f"| {' | '.join(line)} |" for line in (first, rules, *rows)]


def markdown_list(notes: Iterable[str]) -> str:
    """Notes as the points of a list."""
    return "\n".join(f"- {escape_markdown(note)}" for note in notes)


def escape_markdown(text: str) -> str:
    """Keep text from being read as markup, formulas included; ``in_a_word`` is no emphasis."""
    one_line = visible(" ".join(text.split()))
    return re.sub(r"[\\|*`<\[\]#&~$]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", one_line)


def code_markdown(text: str) -> str:
    """Text as code, in more backticks than it holds side by side."""
    one_line = visible(" ".join(text.split()))
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", one_line)), default=0))
    space = " " if "`" in one_line or not one_line else ""
    return f"{fence}{space}{one_line}{space}{fence}"


def latex(block: Block) -> str:
    """The table as a float for ``\\input``, its notes in the caption."""
    rows = [
        " & ".join([_latex_name(name), *map(_latex_cell, cells)]) + r" \\"
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
        rf"{_latex_name(block.corner)} & {names} \\",
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
    escaped = LIGATURES.sub(r"\g<0>{}", " ".join(text.split()).translate(LATEX))
    known = (c if ord(c) < 0x250 and c.isprintable() else f"[U+{ord(c):04X}]" for c in escaped)
    return "".join(known)


def _latex_name(name: str) -> str:
    """The first cell of a row; a bracket or star there would belong to the line above."""
    escaped = escape_latex(name)
    return f"{{}}{escaped}" if escaped.startswith(("[", "*")) else escaped


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
