"""The commands that fit the diagnostic's rule and measure how well it predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from benchmark.cli.messages import console, say_written
from benchmark.cli.options import RESULTS, ResultsOption, RuleOption, TargetsOption, listed
from benchmark.cli.studies import results_of
from benchmark.diagnostic.evidence.fitting import fit_rule, write_rule
from benchmark.diagnostic.evidence.write import write_evidence
from benchmark.diagnostic.rule import RULE, load_rule
from benchmark.report.tables.rendering import terminal

DiagnosedArgument = Annotated[
    str, typer.Argument(help="A study with diagnoses: its name, .yaml file or folder of results.")
]
SHOWN = 10

app = typer.Typer()


@app.command(epilog="Example: adaptbench rule fit mine --targets contracts,poems")
def fit(
    study: DiagnosedArgument,
    targets: TargetsOption = None,
    out: Annotated[Path, typer.Option(help="The file to write the rule to.")] = Path("rule.yaml"),
    results: ResultsOption = RESULTS,
) -> None:
    """Fit the rule to the measured gains of a study's targets."""
    rule, compared = fit_rule(results_of(study, results), listed(targets))
    title = f"Measures that predict each target from the others, the best {SHOWN}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    numbers = ["log_loss", "unexplained", "badness"]
    for name in ("features", *numbers):
        table.add_column(name.replace("_", " "), justify="left" if name == "features" else "right")
    for _, row in compared.head(SHOWN).iterrows():
        table.add_row(" + ".join(row["features"]), *(f"{row[name]:.3f}" for name in numbers))
    console.print(table)
    write_rule(out, rule)
    say_written([out])


@app.command(epilog="Example: adaptbench rule score diagnosis --rule rule.yaml")
def score(
    study: DiagnosedArgument, rule: RuleOption = None, results: ResultsOption = RESULTS
) -> None:
    """Measure how well a rule predicts the gains of a study's targets."""
    written, blocks, lines = write_evidence(results_of(study, results), load_rule(rule or RULE))
    for block in blocks:
        console.print(terminal(block))
    for line in lines:
        console.print(f"- {line}", markup=False, highlight=False)
    say_written(written)
