"""The command that hands a run's model on: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.messages import say_written
from benchmark.cli.options import RESULTS, CacheOption, ResultsOption, StudyArgument
from benchmark.cli.studies import load
from benchmark.running.export import export as export_run
from benchmark.study.environment import cache_folder
from benchmark.study.stages import Stage

app = typer.Typer()


@app.command(epilog="Example: adaptbench export mini mini-kjv-dds-s0-0a1b2c3d model")
def export(
    study: StudyArgument,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of the run's folder.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to make.")],
    stage: Annotated[Stage, typer.Option(help="The stage whose model is written.")] = "trained",
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
) -> None:
    """Write a run's model as a Hugging Face folder: weights, configuration, tokenizer."""
    export_run(results / load(study).study, run, stage, cache_folder(cache), folder)
    say_written([folder])
