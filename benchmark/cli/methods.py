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
from benchmark.data.catalogue import load_catalogue
from benchmark.methods import registry
from benchmark.methods.new_method import write_method
from benchmark.models.config import PRESETS
from benchmark.study.loading import embedded_studies, load_study

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
) -> None:
    """Check that methods keep the contract: same start, no peeking, every cost charged ..."""
    if not methods and not all_methods:
        raise UserError("check: give names of methods, .py files, or --all; see adaptbench list")
    names = list(registry.methods()) if all_methods else (methods or [])
    chosen = {name: registry.find_method(name) for name in names}
    torch.set_num_threads(1)
    failed = []
    with tempfile.TemporaryDirectory(prefix="adaptbench-check-") as folder:
        problem = Problem(Path(folder))
        for name, method in chosen.items():
            with console.status(f"checking {name}"):
                found = list(findings(method, problem))
            console.print(_table(f"{name}: {method.summary}", found))
            failed += [f"{name}: {finding.check}" for finding in found if not finding.passed]
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


def _table(title: str, found: list[Finding]) -> Table:
    grid = Table("check", "result", "seen", title=Text(title), title_justify="left", box=None)
    for finding in found:
        result = Text("ok", "green") if finding.passed else Text("FAILED", "bold red")
        grid.add_row(finding.check, result, Text(finding.seen))
    return grid
