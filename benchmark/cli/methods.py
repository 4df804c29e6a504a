"""The commands for who chooses or writes a method: list, check, new-method."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table
from rich.text import Text

from benchmark.cli.messages import console, show
from benchmark.contract import Finding, Problem, findings
from benchmark.core.errors import UserError
from benchmark.core.tasks import find_task, task_names
from benchmark.data.catalogue import load_catalogue
from benchmark.methods import registry
from benchmark.methods.new_method import write_method
from benchmark.models.config import PRESETS
from benchmark.study.loading import embedded_studies, load_study
from benchmark.tasks import TaskKind

app = typer.Typer()


@app.command("list", epilog="Example: adaptbench list")
def list_all() -> None:
    """Methods, model presets, embedded corpora and studies."""
    kinds = {
        "methods": {name: method.summary for name, method in registry.methods().items()},
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


@app.command(epilog="Example: adaptbench check mine.py dds")
def check(
    methods: Annotated[
        list[str] | None, typer.Argument(help="Names of methods, or their .py files.")
    ] = None,
    all_methods: Annotated[bool, typer.Option("--all", help="Every registered method.")] = False,
    task: Annotated[
        list[str] | None, typer.Option(help="A task to check on, repeatable; default: every one.")
    ] = None,
) -> None:
    """Check that methods keep the contract: same start, no peeking, every cost charged ...

    On each task whose rows a method can read.
    """
    if not methods and not all_methods:
        raise UserError("check: give names of methods, .py files, or --all; see adaptbench list")
    names = list(registry.methods()) if all_methods else (methods or [])
    chosen = {name: registry.find_method(name) for name in names}
    torch.set_num_threads(1)
    kinds: dict[str, TaskKind] = {each: find_task(each) for each in task or task_names()}
    failed = []
    with tempfile.TemporaryDirectory(prefix="adaptbench-check-") as folder:
        problems = {each: Problem(Path(folder), each) for each in kinds}
        for name, method in chosen.items():
            wanted = method.Hyperparameters.model_validate(
                method.Hyperparameters.for_checks
            ).reads()
            able = [each for each, kind in kinds.items() if not wanted or wanted & kind.reads]
            found: dict[str, list[Finding]] = {}
            for each in able:
                with console.status(f"checking {name} on {each}"):
                    found[each] = list(findings(method, problems[each]))
            console.print(_table(f"{name}: {method.summary}", found))
            for each in kinds.keys() - found.keys():
                show(f"not checked on {each}: reads {' or '.join(sorted(wanted))}")
            failed += [
                f"{name}: {finding.check} on {each}"
                for each, seen in found.items()
                for finding in seen
                if not finding.passed
            ]
    if failed:
        show(f"FAILED {', '.join(failed)}")
        raise typer.Exit(1)


@app.command(epilog="Example: adaptbench new-method hard_rows")
def new_method(
    name: Annotated[str, typer.Argument(help="Its name, as in hard_rows.")],
    folder: Annotated[Path, typer.Option(help="Where to write the file.")] = Path(),
) -> None:
    """Write NAME.py, a commented method that passes the contract, to be changed."""
    file = write_method(name, folder)
    show(f"written: {file}")
    show(f"next: adaptbench check {file}")
    show(f"in a study: method: ./{file}")


def _table(title: str, found: dict[str, list[Finding]]) -> Table:
    """A row for each check, a column for each task: what was seen on the first, and of failures."""
    grid = Table("check", title=Text(title), title_justify="left", box=None)
    for task in found:
        grid.add_column(task)
    grid.add_column("seen")
    for of_check in zip(*found.values(), strict=True):
        seen = next((f.seen for f in of_check if not f.passed), of_check[0].seen)
        grid.add_row(of_check[0].check, *map(_result, of_check), Text(seen))
    return grid


def _result(finding: Finding) -> Text:
    return Text("ok", "green") if finding.passed else Text("FAILED", "bold red")
