"""The commands for who writes a method: check it, start a new one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.shared import console
from benchmark.core.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.contract import Finding


def check(
    methods: Annotated[
        list[str] | None, typer.Argument(help="Names of methods, or their .py files.")
    ] = None,
    all_methods: Annotated[bool, typer.Option("--all", help="Every registered method.")] = False,
) -> None:
    """Check that methods keep the contract: same start, no peeking, every cost charged ..."""
    if not methods and not all_methods:
        raise UserError("check: give names of methods, .py files, or --all; see adaptbench list")
    import torch

    from benchmark.contract import Problem, findings
    from benchmark.methods import registry

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
        line = f"FAILED {', '.join(failed)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1)


def new_method(
    name: Annotated[str, typer.Argument(help="Its name, as in hard_rows.")],
    folder: Annotated[Path, typer.Option(help="Where to write the file.")] = Path(),
) -> None:
    """Write NAME.py, a commented method that passes the contract, to be changed."""
    from benchmark.methods.new_method import write_method

    file = write_method(name, folder)
    lines = (f"written: {file}", f"next: adaptbench check {file}", f"in a study: method: ./{file}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(title: str, found: list[Finding]) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table("check", "result", "seen", title=Text(title), title_justify="left", box=None)
    for finding in found:
        result = Text("ok", "green") if finding.passed else Text("FAILED", "bold red")
        grid.add_row(finding.check, result, Text(finding.seen))
    return grid
