"""A study's tables as Markdown, CSV and LaTeX files and in the terminal."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmark.files import write_atomically
from benchmark.report.blocks import Block, Cell, build_blocks
from benchmark.report.inputs import StudyResults, load_results
from benchmark.report.rules import footnotes, general_rules
from benchmark.report.summary import summarise

TARGETS_ABREAST = {"markdown": 6, "latex": 4, "terminal": 2}
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


def write_tables(results: Path) -> list[Path]:
    """Write ``table.md``, ``table.csv`` and ``table.tex`` into a study's results folder.

    Raises:
        UserError: no run of the study has ended, or the folder cannot be written.
    """
    study_results = load_results(results)
    texts = {
        results / "table.md": markdown_table(study_results),
        results / "table.csv": csv_table(study_results),
        results / "table.tex": latex_table(study_results),
    }
    for file, text in texts.items():
        write_atomically(file, text)
    return list(texts)


def terminal_table(results: Path) -> RenderableType:
    """The tables and their rules, for ``rich.console.Console.print``.

    Raises:
        UserError: no run of the study has ended.
    """
    study_results = load_results(results)
    parts: list[RenderableType] = []
    for block in build_blocks(study_results, TARGETS_ABREAST["terminal"]):
        parts += [_terminal_block(block), Text(block.rule, style="dim"), Text("")]
    notes = [*footnotes(study_results), *general_rules(study_results)]
    return Group(*parts, *(Text(note, style="dim") for note in notes))


def csv_table(results: StudyResults) -> str:
    """A row for each (model, target, method, stage), numbers in full precision.

    Columns are those of `summarise`; losses are in ``loss_unit``, costs in FLOPs and seconds.
    """
    summary = summarise(results.planned, results.stages, results.metrics, results.reference)
    summary.insert(0, "study", results.study.study)
    summary.insert(5, "loss_unit", results.loss_unit)
    return summary.to_csv(index=False, lineterminator="\n")


def markdown_table(results: StudyResults) -> str:
    """The tables and their rules in GitHub's Markdown."""
    parts = [f"# {_escape_markdown(results.study.study)}"]
    if results.study.description:
        parts.append(_escape_markdown(results.study.description))
    for block in build_blocks(results, TARGETS_ABREAST["markdown"]):
        parts += [f"## {_escape_markdown(block.title)}", _markdown_rows(block)]
        parts.append(_escape_markdown(block.rule))
    for title, notes in (("Missing", footnotes(results)), ("Made from", general_rules(results))):
        if notes:
            lines = "\n".join(f"- {_escape_markdown(note)}" for note in notes)
            parts += [f"## {title}", lines]
    return "\n\n".join(parts) + "\n"


def latex_table(results: StudyResults) -> str:
    """The tables and their rules as LaTeX to be read in by ``\\input``."""
    parts = [
        "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}; "
        "made by adaptbench from the records of the study.",
        *(_latex_block(block) for block in build_blocks(results, TARGETS_ABREAST["latex"])),
        "{\\footnotesize\\raggedright\\noindent",
        *(
            f"{_escape_latex(note)}.\\par"
            for note in (*footnotes(results), *general_rules(results))
        ),
        "}",
    ]
    return "\n".join(parts) + "\n"


def _markdown_rows(block: Block) -> str:
    names = ["method", *(f"{column.group}: {column.name.strip()}" for column in block.columns)]
    lines = [[_escape_markdown(name) for name in names], [":---", *["---:"] * len(block.columns)]]
    for method, cells in block.rows:
        texts = [_escape_markdown(cell.text) for cell in cells]
        bold = [
            f"**{text}**" if cell.best else text for text, cell in zip(texts, cells, strict=True)
        ]
        lines.append([_escape_markdown(method), *bold])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escape_markdown(text: str) -> str:
    """Keep text from being read as markup; an underscore inside a word is none."""
    one_line = " ".join(text.split())
    return re.sub(r"[\\|*`<\[\]#]|(?<!\w)_|_(?!\w)", r"\\\g<0>", one_line)


def _latex_block(block: Block) -> str:
    groups = [(name, len(list(same))) for name, same in groupby(c.group for c in block.columns)]
    spans = " & ".join(
        f"\\multicolumn{{{width}}}{{c}}{{{_escape_latex(name)}}}" for name, width in groups
    )
    names = " & ".join(_escape_latex(column.name.strip()) for column in block.columns)
    rows = [
        " & ".join([_escape_latex(method), *(_latex_cell(cell) for cell in cells)]) + r" \\"
        for method, cells in block.rows
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape_latex(f'{block.title}. {block.rule}')}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(block.columns)}}}",
        r"\toprule",
        rf" & {spans} \\",
        _group_rules([width for _, width in groups]),
        rf"method & {names} \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _group_rules(widths: list[int]) -> str:
    """A rule under each group of columns, the first one being column 2."""
    rules, first = [], 2
    for width in widths:
        rules.append(f"\\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    return "".join(rules)


def _latex_cell(cell: Cell) -> str:
    text = re.sub(r"([\d.]+)e(-?)0*(\d+)", r"$\1\\times10^{\2\3}$", _escape_latex(cell.text))
    return f"\\textbf{{{text}}}" if cell.best else text


def _escape_latex(text: str) -> str:
    escaped = " ".join(text.split()).translate(LATEX)
    # Other signs than accented letters may be unknown to the document's encoding.
    return "".join(c if ord(c) < 0x250 else f"[U+{ord(c):04X}]" for c in escaped)


def _terminal_block(block: Block) -> Table:
    table = Table(
        title=block.title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("\nmethod", no_wrap=True)
    shown = ""
    for column in block.columns:
        group = column.group if column.group != shown else ""
        table.add_column(Text(f"{group}\n{column.name.strip()}"), justify="right", overflow="fold")
        shown = column.group
    for method, cells in block.rows:
        table.add_row(
            Text(method), *(Text(cell.text, style="bold" if cell.best else "") for cell in cells)
        )
    return table
