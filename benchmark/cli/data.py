"""The commands that build and show the data of a study: data build, data show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.messages import console, interruptible, messages, show
from benchmark.cli.options import CacheOption, StudyArgument
from benchmark.data import PreparedData, prepare
from benchmark.data.show import describe_data
from benchmark.data.task_rows import rows_of
from benchmark.running.progress import StudyProgress
from benchmark.study.environment import cache_folder
from benchmark.study.loading import find_study, load_study

app = typer.Typer()


@app.command(epilog="Example: adaptbench data build mine.yaml --jobs 2")
def build(
    study: StudyArgument,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that tokenise side by side.")] = 1,
    cache: CacheOption = None,
) -> None:
    """Build the token rows and splits of every target of a study.

    Files are read in pieces of 64 MiB or one file, whichever is more, side by side; killed, it
    goes on with the pieces that are not done.
    """
    for name, prepared in _prepare(study, cache, jobs):
        show(f"{name}: {prepared.folder}")


@app.command("show", epilog="Example: adaptbench data show mine.yaml --rows 5")
def show_data(
    study: StudyArgument,
    cache: CacheOption = None,
    rows: Annotated[int, typer.Option(min=0, help="Example rows of each split.")] = 2,
) -> None:
    """Sizes, removed duplicates and example rows of a study's data."""
    data = load_study(find_study(study)).data
    shown = rows_of(data.task).shown(data)
    for name, prepared in _prepare(study, cache):
        console.print(describe_data(name, prepared, rows, shown))


def _prepare(study: str, cache: Path | None, jobs: int = 1) -> list[tuple[str, PreparedData]]:
    loaded = load_study(find_study(study))
    folder = cache_folder(cache)
    with interruptible(), StudyProgress(messages) as progress:
        return [
            (name, prepare(loaded.data_for(name), target.alone, folder, progress.building, jobs))
            for name, target in loaded.targets.items()
        ]
