"""Runs killed at random moments, over and over, lose and change nothing (slow).

``ADAPTBENCH_KILLS=100 pytest tests/slurm/test_soak.py -m slow -s`` kills as often as that on the
cluster and as often in a plain run on this machine.
"""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

import psutil
import pytest

from tests.command_line import CommandLine
from tests.slurm.commands import QUICK, SweepCommands, assert_equal_to_the_bit, plain_run
from tests.slurm.conftest import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

KILLS = int(os.environ.get("ADAPTBENCH_KILLS", "15"))
SECONDS = 1500.0


@pytest.fixture
def content(content: dict[str, Any]) -> dict[str, Any]:
    """Eight runs that evaluate, and so save, often."""
    content["methods"] = ["pretraining", "cds"]
    content["seeds"] = [0, 1]
    content["training"] |= {"steps": 300, "evaluate_every": 20}
    return content


def test_killed_on_a_cluster(
    cluster: Cluster, adaptbench: CommandLine, content: dict[str, Any]
) -> None:
    del cluster
    profile = {**QUICK, "max_attempts": 1000, "max_restarts": 1000}
    sweep = SweepCommands(adaptbench, content, profile)
    expected = plain_run(adaptbench, sweep)
    rng, killed, rounds = random.Random(0), 0, 0
    deadline = time.monotonic() + SECONDS
    while killed < KILLS:
        sweep.submit()
        while not sweep.all_done() and time.monotonic() < deadline:
            time.sleep(rng.uniform(0.3, 1.5))
            at_work = [s.progress for s in sweep.statuses().values() if s.state == "running"]
            # Most of a short run's life is its start, and most that can go wrong is later.
            victims = [said for said in at_work if said and (said.step or rng.random() < 0.1)]
            if victims and killed < KILLS:
                said = rng.choice(victims)
                # Mostly the process that trains, sometimes its job's.
                killed += sweep.kill(said, whole_job=rng.random() < 0.2)
        assert_equal_to_the_bit(sweep.results, expected)
        rounds += 1
        sweep.start_over()
    print(f"{killed} kills on the cluster, {rounds} sweeps, nothing lost or altered")


def test_killed_on_this_machine(adaptbench: CommandLine, content: dict[str, Any]) -> None:
    sweep = SweepCommands(adaptbench, content, QUICK)
    expected = plain_run(adaptbench, sweep)
    rng, killed, rounds = random.Random(1), 0, 0
    while killed < KILLS:
        code = 1
        while code != 0:
            process = adaptbench.start("run", sweep.study, "--jobs", "2", "--no-report")
            if killed < KILLS:
                time.sleep(rng.uniform(1.0, 8.0))
                killed += kill_some(process.pid, rng)
            process.communicate(timeout=200)
            code = process.returncode
        assert_equal_to_the_bit(sweep.results, expected)
        rounds += 1
        sweep.start_over()
    print(f"{killed} kills on this machine, {rounds} studies, nothing lost or altered")


def kill_some(pid: int, rng: random.Random) -> int:
    """Kill the command or one of its workers; how many."""
    try:
        parent = psutil.Process(pid)
        victim = rng.choice([parent, *parent.children()])
        victim.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return 0
    return 1
