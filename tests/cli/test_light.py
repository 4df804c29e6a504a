"""What must be quick: importing, helping."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from tests.command_line import CommandLine

HEAVY = ("torch", "transformers", "datasets", "pandas", "matplotlib", "sklearn", "scipy")
FOUND = f"[m for m in {HEAVY!r} if m in sys.modules]"
TYPED = {
    "_ADAPTBENCH_COMPLETE": "complete_bash",
    "COMP_WORDS": "adaptbench rule ",
    "COMP_CWORD": "2",
}


@pytest.mark.parametrize("package", ["benchmark", "baselines", "slurm", "benchmark.cli.app"])
def test_imports_are_light(package: str) -> None:
    code = f"import sys, {package}; print({FOUND})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [("--help", {}), ("rule --help", {}), ("--version", {}), ("", TYPED)],
)
def test_listing_commands_loads_none(arguments: str, variables: dict[str, str]) -> None:
    code = f"""
import atexit, sys
from benchmark.cli.app import main
atexit.register(lambda: print({FOUND}, file=sys.stderr))
main()
"""
    command = [sys.executable, "-c", code, *arguments.split()]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **variables}
    )
    assert ended.stderr.strip() == "[]"
    assert ended.stdout


def test_help_is_quick(adaptbench: CommandLine) -> None:
    # Processor time: what others do on the machine at the same time is not ours.
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        process = adaptbench.start("--help")
        out, _ = process.communicate()
        seconds.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
        assert process.returncode == 0
        assert "run" in out
    assert min(seconds) < 0.5


def test_list_names_everything(adaptbench: CommandLine) -> None:
    result = adaptbench("list")
    assert result.returncode == 0, result.stderr
    for name in ("dds", "pretraining", "paper", "medical_hpo", "mini"):
        assert name in result.stdout
