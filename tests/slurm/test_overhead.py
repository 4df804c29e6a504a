"""What a cluster adds to a run (slow): ``pytest tests/slurm/test_overhead.py -m slow -s``."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.command_line import CommandLine
from tests.slurm.commands import QUICK, SweepCommands
from tests.slurm.conftest import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MANY = 200


def test_latency_and_dispatch(
    cluster: Cluster, adaptbench: CommandLine, content: dict[str, Any]
) -> None:
    content["methods"] = ["random"]
    content["training"] |= {"steps": 200}
    sweep = SweepCommands(adaptbench, content | {"study": "one"}, QUICK)
    began = time.monotonic()
    sweep.submit()
    submitted = time.monotonic()
    sweep.wait_step("random 0", 1)
    stepped = time.monotonic()
    print(f"one run: submit {submitted - began:.1f} s, then {stepped - submitted:.1f} s to step 1")
    sweep.wait_done(100)

    seeds = list(range(MANY))
    many = SweepCommands(adaptbench, content | {"study": "many", "seeds": seeds}, QUICK)
    began_many = time.monotonic()
    many.submit()
    each = (time.monotonic() - began_many - (submitted - began)) / (MANY - 1)
    print(f"{MANY} runs: {1000 * each:.0f} ms more for each further run")
    assert adaptbench("cancel", many.study).returncode == 0
    assert cluster.run("squeue", "--noheader") == ""
    assert each < 0.5
