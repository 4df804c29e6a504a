"""How long a large study takes to tabulate and to draw (slow; wants a quiet machine)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command_line import CommandLine

pytestmark = pytest.mark.slow
SECONDS = 10


def test_a_thousand_runs_are_reported_in_seconds(
    build: Callable[..., Path], adaptbench: CommandLine
) -> None:
    results = build(
        methods=("pretraining", *(f"method_{number}=random" for number in range(9))),
        targets=[f"target_{number}" for number in range(10)],
        seeds=range(10),
    )
    took = {}
    for command in ("table", "plot", "report"):
        start = time.monotonic()
        done = adaptbench(command, results)
        took[command] = time.monotonic() - start
        assert done.returncode == 0, done.stderr
    print({command: f"{seconds:.1f} s" for command, seconds in took.items()})
    assert max(took.values()) < SECONDS
