"""The commands that build and show the data of a study: data build, data show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.messages import console, interruptible, messages, show
from benchmark.cli.options import CacheOption, StudyArgument
from benchmark.data import PreparedData, prepare
from benchmark.data.show import describe_data
from benchmark.running.progress import StudyProgress
from benchmark.study.environment import cache_folder
from benchmark.study.loading import find_study, load_study

app = typer.Typer()


@app.command(epilog="Example: adaptbench data build mine.yaml")
def build(study: StudyArgument, cache: CacheOption = None) -> None:
    """Build the token rows and splits of every target of a study."""
    for name, prepared in _prepare(study, cache):
        show(f"{name}: {prepared.folder}")


@app.command("show", epilog="Example: adaptbench data show mine.yaml --rows 5")
def show_data(
    study: StudyArgument,
    cache: CacheOption = None,
    rows: Annotated[int, typer.Option(min=0, help="Example rows of each split.")] = 2,
) -> None:
    """Sizes, removed duplicates and example rows of a study's data."""
    for name, prepared in _prepare(study, cache):
        console.print(describe_data(name, prepared, rows))


def _prepare(study: str, cache: Path | None) -> list[tuple[str, PreparedData]]:
    loaded = load_study(find_study(study))
    folder = cache_folder(cache)
    with interruptible(), StudyProgress(messages) as progress:
        return [
            (name, prepare(loaded.data_for(name), target.alone, folder, progress.building))
            for name, target in loaded.targets.items()
        ]
