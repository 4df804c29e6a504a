"""The commands that present a study from its records: table, plot, report, compare, selection."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmark.cli.messages import console, say_written
from benchmark.cli.options import RESULTS, RecordedArgument, ResultsOption
from benchmark.cli.presenting import draw, tabulate
from benchmark.cli.studies import results_of
from benchmark.diagnostic.recommend.section import recommendation_grids
from benchmark.diagnostic.section import diagnosis_grids
from benchmark.report.compare.comparison import compare as compare_methods
from benchmark.report.compare.selection import selection_table, write_selection
from benchmark.report.compare.text import terminal_comparison, write_comparison
from benchmark.report.html.page import write_report
from benchmark.report.results.inputs import load_results

app = typer.Typer()


@app.command(epilog="Example: adaptbench table mine")
def table(study: RecordedArgument, results: ResultsOption = RESULTS) -> None:
    """Print a study's table and write its tables from the records."""
    tabulate(results_of(study, results))


@app.command(epilog="Example: adaptbench plot mine --figure cost --figure final")
def plot(
    study: RecordedArgument,
    figure: Annotated[
        list[str] | None, typer.Option(help="Only this figure; may be given several times.")
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Draw every figure of a study, as PNG and as PDF, from its records."""
    draw(results_of(study, results), figure or ())


@app.command(epilog="Example: adaptbench report mine")
def report(study: RecordedArgument, results: ResultsOption = RESULTS) -> None:
    """Write everything about a study as one HTML file, from its records."""
    folder = results_of(study, results)
    said = [*recommendation_grids(folder), *diagnosis_grids(folder)]
    say_written([write_report(folder, said)])


@app.command(epilog="Example: adaptbench compare mine dds classifier")
def compare(
    study: RecordedArgument,
    a: Annotated[str, typer.Argument(help="A method's label.")],
    b: Annotated[str, typer.Argument(help="The label of the method to compare it to.")],
    results: ResultsOption = RESULTS,
) -> None:
    """Say whether method A is better than B: on what, by how much, how sure."""
    folder = results_of(study, results)
    loaded = load_results(folder)
    comparison = compare_methods(loaded, a, b)
    written = write_comparison(comparison, loaded, folder)
    console.print(terminal_comparison(comparison, loaded))
    say_written(written)


@app.command(epilog="Example: adaptbench selection mine chat")
def selection(
    study: RecordedArgument,
    domain: Annotated[str, typer.Argument(help="Provenance domain of the generic corpus.")],
    results: ResultsOption = RESULTS,
) -> None:
    """Print and draw how often each method trained on rows of a provenance domain."""
    folder = results_of(study, results)
    written = write_selection(folder, domain)
    console.print(selection_table(folder, domain))
    say_written(written)
