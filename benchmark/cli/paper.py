"""The command that regenerates the paper's comparison from its published curves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.messages import console, say_written
from benchmark.cli.options import RESULTS, ResultsOption
from benchmark.cli.studies import results_of
from benchmark.report.paper.reference import load_reference
from benchmark.report.paper.rule import Rule
from benchmark.report.paper.write import make_paper, terminal, write_paper
from benchmark.report.results.inputs import load_results

REFERENCE = RESULTS / "reference"
OUTPUT = RESULTS / "paper"

app = typer.Typer()


@app.command(epilog="Example: adaptbench paper --with mine --rule best")
def paper(
    rule: Annotated[
        Rule, typer.Option(help="The last logged step of a run, or its best.")
    ] = Rule.last,
    hours: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="Budget of equal training time.", show_default="what pretraining takes"
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option("--with", help="A study of yours to put beside: its name or results folder."),
    ] = None,
    results: ResultsOption = RESULTS,
    reference: Annotated[Path, typer.Option(help="Folder of the published numbers.")] = REFERENCE,
    output: Annotated[Path, typer.Option(help="Folder to write tables and figures to.")] = OUTPUT,
) -> None:
    """Regenerate the paper's language-model comparison from its published curves."""
    published = load_reference(reference)
    beside = None if study is None else load_results(results_of(study, results))
    made = make_paper(published, rule, hours, beside)
    written = write_paper(made, published, output)
    console.print(terminal(made))
    say_written(written)
