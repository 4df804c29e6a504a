"""The command ``adaptbench``. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.cluster import cancel, collect, logs, retry, status, submit
from benchmark.cli.diagnose import diagnose
from benchmark.cli.methods import check, new_method
from benchmark.cli.paper import paper
from benchmark.cli.report import compare, import_records, plot, report_study
from benchmark.cli.rule import rule_app
from benchmark.cli.shared import (
    RESULTS,
    CacheOption,
    Device,
    DeviceOption,
    JobsOption,
    ReportOption,
    ResultsOption,
    RetryOption,
    StudyArgument,
    ThreadsOption,
    conclude,
    console,
    fail,
    interruptible,
    load,
    messages,
    require_device,
    results_of,
    say,
    show_report,
    tabulate,
)
from benchmark.cli.tune import tune
from benchmark.core.errors import UserError, unknown

if TYPE_CHECKING:
    from benchmark.data import PreparedData

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compare ways of adapting a model to a target domain, under one protocol.",
)
data_app = typer.Typer(no_args_is_help=True, help="Build and look at token rows.")
app.add_typer(data_app, name="data")
app.add_typer(rule_app, name="rule")
app.command()(tune)
app.command()(diagnose)
app.command("check")(check)
app.command("paper")(paper)
for command in (submit, status, retry, cancel, collect, logs):
    app.command()(command)
app.command("new-method")(new_method)
app.command("report")(report_study)
app.command("plot")(plot)
app.command("compare")(compare)
app.command("import")(import_records)


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Compare ways of adapting a model to a target domain, under one protocol."""


@app.command()
def run(
    study: StudyArgument,
    jobs: JobsOption = 1,
    methods: Annotated[
        str | None, typer.Option(help="Only these methods (labels, separated by commas).")
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Only these targets (names, separated by commas).")
    ] = None,
    device: DeviceOption = Device.cpu,
    threads: ThreadsOption = 1,
    results: ResultsOption = RESULTS,
    cache: CacheOption = None,
    retry_failed: RetryOption = False,
    report: ReportOption = True,
) -> None:
    """Run what a study lacks, then print its table and draw its figures."""
    from benchmark.methods.registry import resolve
    from benchmark.running.local import Settings, run_study
    from benchmark.running.progress import StudyProgress
    from benchmark.study.environment import cache_folder

    require_device(device)
    loaded = resolve(load(study))
    settings = Settings(
        results=results / loaded.study,
        cache=cache_folder(cache),
        jobs=jobs,
        threads=threads,
        device=device.value,
        retry_failed=retry_failed,
        labels=_chosen(methods, [entry.label for entry in loaded.methods], "method"),
        targets=_chosen(targets, list(loaded.targets), "target"),
    )
    with interruptible(), StudyProgress(messages) as progress:
        outcome = run_study(loaded, settings, progress.hear, progress.building)
    if report:
        show_report(outcome, settings.results)
    conclude(outcome, settings.results)


@app.command()
def table(study: StudyArgument, results: ResultsOption = RESULTS) -> None:
    """Print a study's table and write its tables from the records."""
    tabulate(results_of(study, results))


@app.command()
def selection(
    study: StudyArgument,
    domain: Annotated[str, typer.Argument(help="Provenance domain of the generic corpus.")],
    results: ResultsOption = RESULTS,
) -> None:
    """Print and draw how often each method trained on rows of a provenance domain."""
    from benchmark.report.compare.selection import selection_table, write_selection

    folder = results_of(study, results)
    written = write_selection(folder, domain)
    console.print(selection_table(folder, domain))
    say("written: " + ", ".join(str(file) for file in written))


@app.command("list")
def list_all() -> None:
    """Methods, model presets, embedded corpora and studies."""
    from rich.table import Table

    from benchmark.data.catalogue import load_catalogue
    from benchmark.methods.registry import methods
    from benchmark.models.config import PRESETS
    from benchmark.study.study import embedded_studies, load_study

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
        fail(str(error), 2)
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if debug:
            raise
        fail(f"internal error: {type(error).__name__}: {error}; --debug shows where", 1)


def _chosen(listed: str | None, known: list[str], what: str) -> tuple[str, ...]:
    """Names separated by commas, each of them known; none if the option is not given."""
    chosen = tuple(name.strip() for name in (listed or "").split(",") if name.strip())
    for name in chosen:
        if name not in known:
            raise unknown(what, name, known, at=f"--{what}s: ")
    return chosen


def _prepare(study: str, cache: Path | None) -> list[tuple[str, PreparedData]]:
    from benchmark.data import prepare
    from benchmark.running.progress import StudyProgress
    from benchmark.study.environment import cache_folder
    from benchmark.study.study import find_study, load_study

    loaded = load_study(find_study(study))
    folder = cache_folder(cache)
    with interruptible(), StudyProgress(messages) as progress:
        return [
            (name, prepare(loaded.data_for(name), target.alone, folder, progress.building))
            for name, target in loaded.targets.items()
        ]
