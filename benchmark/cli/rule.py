"""The commands that fit the diagnostic's rule and measure how well it predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.shared import RESULTS, ResultsOption, console, results_of, say

rule_app = typer.Typer(no_args_is_help=True, help="The diagnostic's decision rule.")
StudyArgument = Annotated[
    str, typer.Argument(help="A study with diagnoses: its name, .yaml file or folder of results.")
]
RuleOption = Annotated[
    Path | None, typer.Option("--rule", help="Another rule than the one that comes along.")
]
SHOWN = 10


@rule_app.command("fit")
def fit(
    study: StudyArgument,
    targets: Annotated[
        str | None, typer.Option(help="Only these targets (names, separated by commas).")
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write the rule to.")] = Path("rule.yaml"),
    results: ResultsOption = RESULTS,
) -> None:
    """Fit the rule to the measured gains of a study's targets."""
    from rich.table import Table

    from benchmark.diagnostic.evidence.fitting import fit_rule, write_rule

    chosen = tuple(name.strip() for name in (targets or "").split(",") if name.strip())
    rule, compared = fit_rule(results_of(study, results), chosen)
    title = f"Measures that predict each target from the others, the best {SHOWN}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    numbers = ["log_loss", "unexplained", "badness"]
    for name in ("features", *numbers):
        table.add_column(name.replace("_", " "), justify="left" if name == "features" else "right")
    for _, row in compared.head(SHOWN).iterrows():
        table.add_row(" + ".join(row["features"]), *(f"{row[name]:.3f}" for name in numbers))
    console.print(table)
    write_rule(out, rule)
    say(f"written: {out}")


@rule_app.command("score")
def score(study: StudyArgument, rule: RuleOption = None, results: ResultsOption = RESULTS) -> None:
    """Measure how well a rule predicts the gains of a study's targets."""
    from benchmark.diagnostic.evidence.write import write_evidence
    from benchmark.diagnostic.rule import RULE, load_rule
    from benchmark.report.tables.rendering import terminal

    written, blocks, lines = write_evidence(results_of(study, results), load_rule(rule or RULE))
    for block in blocks:
        console.print(terminal(block))
    for line in lines:
        console.print(f"- {line}", markup=False, highlight=False)
    say("written: " + ", ".join(str(file) for file in written))
