"""A study's table and figures, printed and written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmark.cli.messages import console, say, say_written
from benchmark.report.figures.write import write_figures
from benchmark.report.results.numbers import load_numbers
from benchmark.report.tables.write import terminal_table, write_tables


def present(results: Path) -> None:
    """Print the table; tables and figures are written again if a record is newer."""
    if _is_stale(results):
        tabulate(results)
        draw(results)
    else:
        console.print(terminal_table(load_numbers(results)))


def tabulate(results: Path) -> None:
    """Print a study's table and write its tables."""
    numbers = load_numbers(results)
    console.print(terminal_table(numbers))
    say_written(write_tables(numbers, results))


def draw(results: Path, names: Iterable[str] = ()) -> None:
    """Write a study's figures, or those of these names, and say which its records do not allow."""
    written, left_out = write_figures(results, names)
    for line in left_out:
        say(line)
    if written:
        say_written(written)


def _is_stale(results: Path) -> bool:
    """Whether a record is newer than the tables and figures."""
    written = [results / "table.html", results / "figures" / "final.png"]
    if not all(file.exists() for file in written):
        return True
    records = [file.stat().st_mtime for file in results.glob("runs/*/record.json")]
    return max(records) > min(file.stat().st_mtime for file in written)
