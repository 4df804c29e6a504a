"""The commands that move records: collect those of a study, import those of a colleague."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.messages import say, say_written
from benchmark.cli.options import RESULTS, ResultsOption, StudyArgument
from benchmark.cli.studies import load, results_of
from benchmark.methods.registry import resolve
from benchmark.running.merging.plan import carry_out, plan_import
from benchmark.study.frames import study_frame
from slurm.collect import write_collected

app = typer.Typer()


@app.command(epilog="Example: adaptbench collect mine.yaml")
def collect(study: StudyArgument, results: ResultsOption = RESULTS) -> None:
    """Write all records of a study as one Parquet and one CSV file."""
    loaded = resolve(load(study))
    folder = results / loaded.study
    frame = study_frame(folder)
    written = write_collected(folder, frame)
    missing = len(loaded.runs()) - frame["run_id"].nunique()
    say(f"{len(frame)} rows; {missing} runs have no record yet")
    say_written(written)


@app.command("import", epilog="Example: adaptbench import their/results/mine --into mine")
def import_records(
    folder: Annotated[Path, typer.Argument(help="A colleague's results folder of the study.")],
    into: Annotated[str, typer.Option("--into", help="Our study: name, file or folder.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    results: ResultsOption = RESULTS,
) -> None:
    """Take a colleague's records into a study; what differs in protocol or data stays out."""
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
