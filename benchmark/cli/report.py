"""The commands that present a study and bring records into it: report, plot, compare, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.shared import RESULTS, ResultsOption, console, draw, results_of, say

StudyArgument = Annotated[
    str, typer.Argument(help="A study's name, .yaml file or folder of results.")
]


def report_study(study: StudyArgument, results: ResultsOption = RESULTS) -> None:
    """Write everything about a study as one HTML file, from its records."""
    from benchmark.diagnostic.section import diagnosis_grids
    from benchmark.report.html.page import write_report

    folder = results_of(study, results)
    say(f"written: {write_report(folder, diagnosis_grids(folder))}")


def plot(
    study: StudyArgument,
    figure: Annotated[
        list[str] | None, typer.Option(help="Only this figure; may be given several times.")
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Draw every figure of a study, as PNG and as PDF, from its records."""
    draw(results_of(study, results), figure or ())


def compare(
    study: StudyArgument,
    a: Annotated[str, typer.Argument(help="A method's label.")],
    b: Annotated[str, typer.Argument(help="The label of the method to compare it to.")],
    results: ResultsOption = RESULTS,
) -> None:
    """Say whether method A is better than B: on what, by how much, how sure."""
    from benchmark.report.compare.comparison import compare as compare_methods
    from benchmark.report.compare.text import terminal_comparison, write_comparison
    from benchmark.report.results.inputs import load_results

    folder = results_of(study, results)
    loaded = load_results(folder)
    comparison = compare_methods(loaded, a, b)
    written = write_comparison(comparison, loaded, folder)
    console.print(terminal_comparison(comparison, loaded))
    say("written: " + ", ".join(str(file) for file in written))


def import_records(
    folder: Annotated[Path, typer.Argument(help="A colleague's results folder of the study.")],
    into: Annotated[str, typer.Option("--into", help="Our study: name, file or folder.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    results: ResultsOption = RESULTS,
) -> None:
    """Take a colleague's records into a study; what differs in protocol or data stays out."""
    from benchmark.running.merging.plan import carry_out, plan_import

    plan = plan_import(folder, results_of(into, results))
    for name, reason in plan.refused.items():
        say(f"refused: {folder / 'runs' / name}: {reason}")
    if not dry_run:
        carry_out(plan)
    does = "would be imported" if dry_run else "imported"
    say(
        f"{len(plan.new)} runs {does} into {plan.into}, {len(plan.present)} already there, "
        f"{len(plan.refused)} refused"
    )
    for kind, added in (("methods", plan.methods), ("seeds", plan.seeds)):
        if added:
            say(f"{kind} new to the study: {', '.join(map(str, added))}")
    if plan.refused:
        raise typer.Exit(1)
