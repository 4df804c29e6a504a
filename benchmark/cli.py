"""The command ``adaptbench``. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from benchmark.errors import UserError, unknown

if TYPE_CHECKING:
    from benchmark.data import PreparedData
    from benchmark.runner import Outcome
    from benchmark.study import Study

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compare ways of adapting a model to a target domain, under one protocol.",
)
data_app = typer.Typer(no_args_is_help=True, help="Build and look at token rows.")
app.add_typer(data_app, name="data")
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


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Compare ways of adapting a model to a target domain, under one protocol."""


@app.command()
def run(
    study: StudyArgument,
    jobs: Annotated[int, typer.Option(min=1, help="Runs side by side.")] = 1,
    methods: Annotated[
        str | None, typer.Option(help="Only these methods (labels, separated by commas).")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where the main model runs.")] = Device.cpu,
    threads: Annotated[
        int, typer.Option(min=1, help="CPU threads a run; part of what makes runs bit-identical.")
    ] = 1,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
    retry_failed: Annotated[bool, typer.Option(help="Run failed runs again.")] = False,
) -> None:
    """Run what a study lacks, then print its table and draw its figures."""
    from benchmark.environment import cache_folder
    from benchmark.progress import StudyProgress
    from benchmark.registry import resolve
    from benchmark.runner import Settings, run_study

    _require_device(device)
    loaded = resolve(_load(study))
    settings = Settings(
        results=results / loaded.study,
        cache=cache_folder(cache),
        jobs=jobs,
        threads=threads,
        device=device.value,
        retry_failed=retry_failed,
        labels=_labels(loaded, methods),
    )
    with _interruptible(), StudyProgress(messages) as progress:
        outcome = run_study(loaded, settings, progress.hear, progress.building)
    _report(outcome, settings.results)


@app.command()
def table(study: StudyArgument, results: ResultsOption = RESULTS) -> None:
    """Print a study's table and write its tables and figures from the records."""
    folder = _results_of(study, results)
    _write_report(folder)


@app.command("list")
def list_all() -> None:
    """Methods, model presets, embedded corpora and studies."""
    from rich.table import Table

    from benchmark.data.catalogue import load_catalogue
    from benchmark.model_config import PRESETS
    from benchmark.registry import methods
    from benchmark.study import embedded_studies, load_study

    kinds = {
        "methods": {name: method.summary for name, method in methods().items()},
        "models": {
            name: f"{c.layers} layers, width {c.width}, {c.heads} heads, hidden {c.hidden}"
            for name, c in PRESETS.items()
        },
        "targets": {
            name: f"{c.description} ({c.licence})" for name, c in load_catalogue().corpora.items()
        },
        "studies": {
            name: load_study(file).description for name, file in embedded_studies().items()
        },
    }
    for kind, entries in kinds.items():
        grid = Table("name", "what", title=kind, title_justify="left", box=None, pad_edge=False)
        for name, what in entries.items():
            grid.add_row(name, what)
        console.print(grid)
        console.print()


@data_app.command("build")
def data_build(study: StudyArgument, cache: CacheOption = None) -> None:
    """Build the token rows and splits of every target of a study."""
    for name, data in _prepare(study, cache):
        console.print(f"{name}: {data.folder}", markup=False, highlight=False, soft_wrap=True)


@data_app.command("show")
def data_show(
    study: StudyArgument,
    cache: CacheOption = None,
    rows: Annotated[int, typer.Option(min=0, help="Example rows of each split.")] = 2,
) -> None:
    """Sizes, removed duplicates and example rows of a study's data."""
    from benchmark.data.show import describe_data

    for name, data in _prepare(study, cache):
        console.print(describe_data(name, data, rows))


def main() -> None:
    """Entry point: one clear line for an error, a traceback only with ``--debug``."""
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="adaptbench")
    except UserError as error:
        if debug:
            raise
        _fail(str(error), 2)
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if debug:
            raise
        _fail(f"internal error: {type(error).__name__}: {error}; --debug shows where", 1)


def _fail(message: str, code: int) -> NoReturn:
    print(f"adaptbench: {message}", file=sys.stderr)
    sys.exit(code)


def _fail_interrupted() -> NoReturn:
    _fail("interrupted; nothing is lost: run the same command to go on", 130)


@contextmanager
def _interruptible() -> Iterator[None]:
    """One line instead of a traceback for Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        _fail_interrupted()


def _say(message: str) -> None:
    messages.print(message, markup=False, highlight=False, soft_wrap=True)


def _load(name: str) -> Study:
    from benchmark.registry import check_methods
    from benchmark.study import find_study, load_study

    file = find_study(name)
    study = load_study(file)
    check_methods(study, file)
    return study


def _labels(study: Study, methods: str | None) -> tuple[str, ...]:
    if methods is None:
        return ()
    known = [entry.label for entry in study.methods]
    chosen = tuple(label.strip() for label in methods.split(",") if label.strip())
    for label in chosen:
        if label not in known:
            raise unknown("method", label, known, at="--methods: ")
    return chosen


def _require_device(device: Device) -> None:
    if device is Device.cuda:
        import torch

        if not torch.cuda.is_available():
            raise UserError("--device: no CUDA device is available here (got 'cuda'); valid: cpu")


def _prepare(study: str, cache: Path | None) -> list[tuple[str, PreparedData]]:
    from benchmark.data import prepare
    from benchmark.environment import cache_folder
    from benchmark.progress import StudyProgress
    from benchmark.study import find_study, load_study

    loaded = load_study(find_study(study))
    folder = cache_folder(cache)
    with _interruptible(), StudyProgress(messages) as progress:
        return [
            (name, prepare(loaded.data, target, folder, progress.building))
            for name, target in loaded.targets.items()
        ]


def _results_of(study: str, results: Path) -> Path:
    """The results folder of a study given by file, by name, or by that folder itself."""
    from benchmark.study import load_study

    if study.endswith((".yaml", ".yml")):
        return results / load_study(Path(study)).study
    named = results / study
    return named if (named / "study.json").exists() else Path(study)


def _report(outcome: Outcome, results: Path) -> None:
    if outcome.found or outcome.done or outcome.failed:
        (_write_report if _is_stale(results) else _print_table)(results)
    found = f", {len(outcome.found)} found done" if outcome.found else ""
    _say(f"{len(outcome.done)} run now{found}, {len(outcome.failed)} failed; {results}")
    for run_id, reason in {**outcome.failed, **outcome.died}.items():
        _say(f"{run_id}: {reason}")
    if outcome.stopped:
        _fail_interrupted()
    if outcome.failed or outcome.died:
        raise typer.Exit(1)


def _is_stale(results: Path) -> bool:
    """Whether a record is newer than the tables and figures."""
    written = [results / "table.md", results / "figures" / "final.png"]
    if not all(file.exists() for file in written):
        return True
    records = [file.stat().st_mtime for file in results.glob("runs/*/record.json")]
    return max(records) > min(file.stat().st_mtime for file in written)


def _write_report(results: Path) -> None:
    from benchmark.report.figures import write_figures
    from benchmark.report.tables import write_tables

    written = [*write_tables(results), *write_figures(results)]
    _print_table(results)
    _say("written: " + ", ".join(str(file) for file in written))


def _print_table(results: Path) -> None:
    from benchmark.report.tables import terminal_table

    console.print(terminal_table(results))
