"""A small sweep on a real cluster, hurt while it runs, ends as a plain run does."""

from __future__ import annotations

import os
import signal
from typing import Any

import pandas as pd
import pytest

from tests.command_line import CommandLine
from tests.slurm.commands import (
    QUICK,
    SweepCommands,
    assert_equal_to_the_bit,
    attempts,
    plain_run,
)
from tests.slurm.conftest import Cluster

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def sweep(cluster: Cluster, adaptbench: CommandLine, content: dict[str, Any]) -> SweepCommands:
    """Four runs of some seconds, two of which share a beginning."""
    del cluster
    content["methods"] = ["pretraining", "target_only", "random", "cds"]
    content["training"] |= {"steps": 250, "evaluate_every": 25}
    return SweepCommands(adaptbench, content, QUICK)


@pytest.mark.long
def test_a_dry_run_submits_nothing(sweep: SweepCommands, cluster: Cluster) -> None:
    printed = sweep.submit("--dry-run")
    assert "4 runs in 2 arrays" in printed
    assert not sweep.results.exists() or not any(sweep.results.rglob("*.json"))
    assert cluster.run("squeue", "--noheader") == ""


@pytest.mark.long
def test_killed_requeued_and_twice_submitted_it_equals_a_plain_run(
    sweep: SweepCommands, cluster: Cluster, adaptbench: CommandLine
) -> None:
    first = adaptbench.start("submit", sweep.study, "--profile", sweep.profile)
    second = adaptbench.start("submit", sweep.study, "--profile", sweep.profile)
    printed = [process.communicate(timeout=200) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), printed
    sweep.worker(sweep.wait_step("cds 0", 20)).send_signal(signal.SIGKILL)
    said = sweep.wait_step("target_only 0", 20)
    cluster.run("scontrol", "requeue", said.job)
    # The job's own process: nobody is left to restart the run but the closing job.
    os.kill(sweep.wait_step("random 0", 1).pid, signal.SIGKILL)
    sweep.wait_done(240)
    assert_equal_to_the_bit(sweep.results, plain_run(adaptbench, sweep))
    found = sweep.statuses()
    assert found["cds 0"].progress is not None
    assert found["cds 0"].progress.restarts == 1
    counts = attempts(sweep.results)
    assert counts[found["random 0"].run_id] == 2
    assert sum(counts.values()) == 5, "a run was dispatched twice"
    collected = adaptbench("collect", sweep.study)
    assert "0 runs have no record" in collected.stderr
    table = pd.read_parquet(sweep.results / "collected.parquet")
    assert len(table) == 8
    assert "4 done" in adaptbench("status", sweep.study).stdout
    assert "nothing to submit" in sweep.submit()


@pytest.mark.long
def test_cancel_then_submit_goes_on(
    sweep: SweepCommands, cluster: Cluster, adaptbench: CommandLine
) -> None:
    sweep.submit()
    sweep.wait_step("cds 0", 20)
    done = adaptbench("cancel", sweep.study)
    assert done.returncode == 0, done.stderr
    assert cluster.run("squeue", "--noheader") == ""
    assert {s.state for s in sweep.statuses().values()} <= {"cancelled", "done"}
    assert "cancelled" in adaptbench("status", sweep.study, "--all").stdout
    sweep.submit()
    sweep.wait_done(200)
    logs = adaptbench("logs", sweep.study, "cds-s0")
    assert "Job completed successfully" in logs.stdout


def test_a_refused_submission_leaves_nothing_claimed(
    cluster: Cluster, adaptbench: CommandLine, content: dict[str, Any]
) -> None:
    del cluster
    sweep = SweepCommands(adaptbench, content, QUICK | {"partition": "moon"})
    done = adaptbench("submit", sweep.study, "--profile", sweep.profile)
    assert done.returncode == 2
    assert "invalid partition" in done.stderr.lower()
    assert {s.state for s in sweep.statuses().values()} == {"cancelled"}
