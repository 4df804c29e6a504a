"""A study's tables as Markdown, HTML, LaTeX and CSV files and in the terminal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from benchmark.core.files import write_atomically
from benchmark.report.results.measures import points
from benchmark.report.results.multipliers import multipliers_frame
from benchmark.report.results.numbers import Numbers, pairwise_frame, pooled_frame
from benchmark.report.results.rules import footnotes, general_rules
from benchmark.report.tables import rendering
from benchmark.report.tables.html import html_table
from benchmark.report.tables.study_blocks import build_blocks, headline_blocks

TARGETS_ABREAST = {"markdown": 6, "latex": 4, "terminal": 2}
LATEX_NEEDS = (
    "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}; "
    "made by adaptbench from the records of the study."
)
IN_FILES = "every seed (where there are few) and every two methods: in table.md"


def write_tables(numbers: Numbers, folder: Path) -> list[Path]:
    """Write ``table.md``, ``.html``, ``.tex`` and ``.csv`` into a study's results folder.

    Further CSV files hold the losses of all seeds (``table-points``), what they say over all pairs
    (``table-pooled``, ``table-pairwise``), and compute multipliers (``table-multipliers``).

    Raises:
        UserError: the folder cannot be written.
    """
    texts = {
        "table.md": markdown_table(numbers),
        "table.html": html_table(numbers),
        "table.tex": latex_table(numbers),
        "table.csv": csv_table(numbers),
        "table-points.csv": _csv(points(numbers.results, numbers.measures)),
        "table-pooled.csv": _csv(pooled_frame(numbers)),
        "table-pairwise.csv": _csv(pairwise_frame(numbers)),
        "table-multipliers.csv": _csv(multipliers_frame(numbers.multipliers)),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]


def terminal_table(numbers: Numbers) -> RenderableType:
    """The shorter tables and their rules, for ``rich.console.Console.print``."""
    blocks = build_blocks(numbers, TARGETS_ABREAST["terminal"], brief=True)
    notes = [*footnotes(numbers.results), *general_rules(numbers.results), IN_FILES]
    return Group(*map(rendering.terminal, blocks), *(Text(note, style="dim") for note in notes))


def headline_table(numbers: Numbers) -> RenderableType:
    """Losses at equal steps, costs, and what is missing, for ``rich.console.Console.print``."""
    blocks = headline_blocks(numbers, TARGETS_ABREAST["terminal"])
    notes = footnotes(numbers.results)
    return Group(*map(rendering.terminal, blocks), *(Text(note, style="dim") for note in notes))


def csv_table(numbers: Numbers) -> str:
    """A row for each (model, target, method, stage), numbers in full precision.

    Columns are those of `Numbers.summary`; losses are in ``loss_unit``, costs in FLOPs and
    seconds.
    """
    summary = numbers.summary.copy()
    summary.insert(0, "study", numbers.results.study.study)
    summary.insert(5, "loss_unit", numbers.results.loss_unit)
    return _csv(summary)


def markdown_table(numbers: Numbers) -> str:
    """The tables and their rules in GitHub's Markdown."""
    results = numbers.results
    parts = [f"# {rendering.escape_markdown(results.study.study)}\n"]
    if results.study.description:
        parts.append(f"{rendering.escape_markdown(results.study.description)}\n")
    parts += map(rendering.markdown, build_blocks(numbers, TARGETS_ABREAST["markdown"]))
    for title, notes in (("Missing", footnotes(results)), ("Made from", general_rules(results))):
        if notes:
            parts.append(f"## {title}\n\n{rendering.markdown_list(notes)}\n")
    return "\n".join(parts)


def latex_table(numbers: Numbers) -> str:
    """The tables and their rules as LaTeX to be read in by ``\\input``."""
    notes = (*footnotes(numbers.results), *general_rules(numbers.results))
    paragraphs = (f"{rendering.latex_sentences([note])}\\par" for note in notes)
    blocks = build_blocks(numbers, TARGETS_ABREAST["latex"])
    small = ["{\\footnotesize\\raggedright\\noindent", *paragraphs, "}"]
    return "\n".join([LATEX_NEEDS, *map(rendering.latex, blocks), *small]) + "\n"


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")
