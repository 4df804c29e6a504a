"""What holds for every command: its line in the list, its help, its example, its completion."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmark import __version__
from benchmark.cli.app import COMMANDS, app, load_command
from tests.command_line import CommandLine

LINES = {path: line for commands in COMMANDS.values() for path, line in commands.items()}


@pytest.mark.parametrize("path", LINES)
def test_the_list_says_what_the_help_says(path: str) -> None:
    assert load_command(path).help.splitlines()[0] == LINES[path]


@pytest.mark.parametrize("path", LINES)
def test_help_ends_with_an_example_that_is_valid(path: str) -> None:
    shown = CliRunner().invoke(app, [*path.split(), "--help"], env={"COLUMNS": "80"})
    start, example = "Example: adaptbench ", shown.stdout.rstrip().splitlines()[-1].strip()
    assert example.startswith(start + path)
    arguments = shlex.split(example.removeprefix(start + path))
    command = load_command(path)
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("--")} <= options
    command.make_context(path, arguments)


def test_version(adaptbench: CommandLine) -> None:
    assert adaptbench("--version").stdout == f"adaptbench {__version__}\n"


def test_the_package_is_the_command(adaptbench: CommandLine) -> None:
    shown = adaptbench("rule", "--help").stdout
    adaptbench.command = [sys.executable, "-m", "benchmark"]
    assert adaptbench("rule", "--help").stdout == shown
    assert "Usage: adaptbench rule " in shown


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("ta", "table"),
        ("rule ", "fit score"),
        ("tune --st", "--stage"),
        ("run --device c", "cpu cuda"),
    ],
)
def test_bash_completes(adaptbench: CommandLine, typed: str, completed: str) -> None:
    words = f"adaptbench {typed}".split(" ")
    script = f"""
        PATH={Path(adaptbench.command[0]).parent}:$PATH
        source <(_ADAPTBENCH_COMPLETE=source_bash adaptbench)
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
        _adaptbench_completion adaptbench
        echo ${{COMPREPLY[@]}}
    """
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == completed, found.stderr
