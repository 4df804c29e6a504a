"""What the commands share: options, messages, loading a study, reporting what became of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from benchmark.core.errors import UserError, unknown

if TYPE_CHECKING:
    from benchmark.running.local import Outcome
    from benchmark.study.study import Study

console = Console()
messages = Console(stderr=True)

StudyArgument = Annotated[str, typer.Argument(help="A .yaml file, or an embedded study's name.")]
ResultsOption = Annotated[
    Path, typer.Option(help="Folder that holds a folder of results for each study.")
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        help="Rows, packages, checkpoints. [default: $ADAPTBENCH_CACHE or ~/.cache/adaptbench]"
    ),
]
RESULTS = Path("results")


class Device(StrEnum):
    """Where the main model runs."""

    cpu = "cpu"
    cuda = "cuda"


JobsOption = Annotated[int, typer.Option(min=1, help="Runs side by side.")]
DeviceOption = Annotated[Device, typer.Option(help="Where the main model runs.")]
ThreadsOption = Annotated[
    int, typer.Option(min=1, help="CPU threads a run; part of what makes runs bit-identical.")
]
ReportOption = Annotated[bool, typer.Option(help="Print the table, draw the figures.")]
RetryOption = Annotated[bool, typer.Option(help="Run failed runs again.")]


def fail(message: str, code: int) -> NoReturn:
    """Say why in one line and end with ``code``."""
    print(f"adaptbench: {message}", file=sys.stderr)
    sys.exit(code)


def fail_interrupted() -> NoReturn:
    """End as an interrupted command does."""
    fail("interrupted; nothing is lost: run the same command to go on", 130)


@contextmanager
def interruptible() -> Iterator[None]:
    """One line instead of a traceback for Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        fail_interrupted()


def say(message: str) -> None:
    """Print a message to standard error as it is."""
    messages.print(message, markup=False, highlight=False, soft_wrap=True)


def load(name: str) -> Study:
    """The study of a file or an embedded one, its methods checked.

    Raises:
        UserError: naming the file, the key, the bad value and what is valid.
    """
    from benchmark.methods.registry import check_methods
    from benchmark.study.study import find_study, load_study

    file = find_study(name)
    study = load_study(file)
    check_methods(study, file)
    return study


def require_device(device: Device) -> None:
    """Refuse a device that this machine lacks."""
    if device is Device.cuda:
        import torch

        if not torch.cuda.is_available():
            raise UserError("--device: no CUDA device is available here (got 'cuda'); valid: cpu")


def results_of(study: str, results: Path) -> Path:
    """The results folder of a study given by file, by name, or by that folder itself.

    Raises:
        UserError: there is no such folder, or the file is not a valid study.
    """
    from benchmark.study.study import find_study, load_study

    if study.endswith((".yaml", ".yml")):
        folder = results / load_study(find_study(study)).study
    else:
        named = results / study
        folder = named if (named / "study.json").exists() else Path(study)
    if not (folder / "study.json").exists():
        known = [file.parent.name for file in results.glob("*/study.json")]
        if not known:
            raise UserError(f"{results}: no results here; run a study first: adaptbench run STUDY")
        raise unknown("study", study, [*known, "or a folder with study.json"], at=f"{results}: ")
    return folder


def show_report(outcome: Outcome, results: Path) -> None:
    """Print the table; tables and figures are written again if a record is newer."""
    if outcome.found or outcome.done or outcome.failed:
        if _is_stale(results):
            tabulate(results)
            draw(results)
        else:
            _print_table(results)


def conclude(outcome: Outcome, results: Path) -> None:
    """Say what became of the runs; ends the command if not all are done."""
    say_outcome(outcome, results)
    if outcome.stopped:
        fail_interrupted()
    if outcome.failed or outcome.died:
        raise typer.Exit(1)


def say_outcome(outcome: Outcome, results: Path) -> None:
    """Say how many runs are done, and why others are not."""
    found = f", {len(outcome.found)} found done" if outcome.found else ""
    say(f"{len(outcome.done)} run now{found}, {len(outcome.failed)} failed; {results}")
    for run_id, reason in {**outcome.failed, **outcome.died}.items():
        say(f"{run_id}: {reason}")


def _is_stale(results: Path) -> bool:
    """Whether a record is newer than the tables and figures."""
    written = [results / "table.html", results / "figures" / "final.png"]
    if not all(file.exists() for file in written):
        return True
    records = [file.stat().st_mtime for file in results.glob("runs/*/record.json")]
    return max(records) > min(file.stat().st_mtime for file in written)


def tabulate(results: Path) -> None:
    """Print a study's table and write its tables."""
    from benchmark.report.results.numbers import load_numbers
    from benchmark.report.tables.write import terminal_table, write_tables

    numbers = load_numbers(results)
    console.print(terminal_table(numbers))
    say("written: " + ", ".join(str(file) for file in write_tables(numbers, results)))


def draw(results: Path, names: Iterable[str] = ()) -> None:
    """Write a study's figures, or those of these names, and say which its records do not allow."""
    from benchmark.report.figures.write import write_figures

    written, left_out = write_figures(results, names)
    for line in left_out:
        say(line)
    if written:
        say("written: " + ", ".join(str(file) for file in written))


def _print_table(results: Path) -> None:
    from benchmark.report.results.numbers import load_numbers
    from benchmark.report.tables.write import terminal_table

    console.print(terminal_table(load_numbers(results)))
