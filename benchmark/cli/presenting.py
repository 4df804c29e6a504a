"""A study's table and figures, printed and written."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from benchmark.cli.messages import console, say, say_written, show
from benchmark.cli.options import RESULTS
from benchmark.report.figures.write import write_figures
from benchmark.report.results.numbers import load_numbers
from benchmark.report.tables.write import headline_table, terminal_table, write_tables
from benchmark.study.step_times import FILE as STEP_TIMES


def present(results: Path) -> None:
    """Print the losses at equal steps and the costs, and where the rest is.

    Tables and figures are written again if a record or the step times are newer.
    """
    numbers = load_numbers(results)
    console.print(headline_table(numbers))
    if _is_stale(results):
        written = write_tables(numbers, results)
        pictures, left_out = write_figures(results)
        say_written([*written, *pictures])
        for line in left_out:
            say(line)
    study = numbers.results.study.study
    where = "" if results == RESULTS / study else f" --results {shlex.quote(str(results.parent))}"
    named = shlex.quote(study)
    show(f"equal cost, intervals, ranks and tests: adaptbench table {named}{where}")
    show(f"all on one page, with figures: adaptbench report {named}{where}")


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
    """Whether a record or the step times are newer than the tables and figures."""
    written = [results / "table.html", results / "figures" / "final.png"]
    if not all(file.exists() for file in written):
        return True
    sources = [*results.glob("runs/*/record.json"), *results.glob(STEP_TIMES)]
    return max(file.stat().st_mtime for file in sources) > min(
        file.stat().st_mtime for file in written
    )
