"""The tables alone as one HTML file."""

from __future__ import annotations

from benchmark.report.results.numbers import Numbers
from benchmark.report.results.rules import footnotes, general_rules
from benchmark.report.tables.grid import Grid, grid_of_block
from benchmark.report.tables.study_blocks import build_blocks
from benchmark.report.tables.templates import fill

TARGETS_ABREAST = 3


def table_grids(numbers: Numbers) -> list[Grid]:
    """Every table of a study."""
    return [grid_of_block(block) for block in build_blocks(numbers, TARGETS_ABREAST)]


def html_table(numbers: Numbers) -> str:
    """The tables and their rules as a page that needs no network."""
    return fill(
        "table.html.j2",
        study=numbers.results.study,
        tables=table_grids(numbers),
        footnotes=footnotes(numbers.results),
        rules=general_rules(numbers.results),
    )
