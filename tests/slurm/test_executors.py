"""The other executors, and runs on several processes."""

from __future__ import annotations

import signal
from typing import Any

import psutil
import pytest

from benchmark.study.frames import study_frame
from benchmark.study.records import load_records
from tests.command_line import CommandLine
from tests.slurm.commands import QUICK, SweepCommands, assert_equal_to_the_bit, plain_run
from tests.slurm.conftest import Cluster

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
HERE = {"heartbeat_seconds": 0.5, "lost_after_seconds": 5}


@pytest.fixture
def content(content: dict[str, Any]) -> dict[str, Any]:
    content["methods"] = ["pretraining", "random", "cds"]
    return content


@pytest.mark.parametrize("executor", ["debug", "local"])
def test_without_a_cluster_it_equals_a_plain_run(
    executor: str, adaptbench: CommandLine, content: dict[str, Any]
) -> None:
    profile = {"executor": executor, **HERE}
    if executor == "local":
        profile["array_parallelism"] = 2
    sweep = SweepCommands(adaptbench, content, profile)
    sweep.submit("--track", "tensorboard")
    sweep.wait_done(200)
    shown = {file.parents[1] for file in sweep.results.glob("runs/*/tensorboard/events*")}
    assert len(shown) == len(sweep.statuses())
    assert_equal_to_the_bit(sweep.results, plain_run(adaptbench, sweep))


def test_local_jobs_are_cancelled_and_go_on(
    adaptbench: CommandLine, content: dict[str, Any]
) -> None:
    content["methods"] = ["pretraining"]
    # Too many to be done before they are cancelled.
    content["training"] |= {"steps": 100_000, "evaluate_every": 50_000}
    sweep = SweepCommands(adaptbench, content, {"executor": "local", **HERE})
    # As a script's background command, which ignores what ends local jobs.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sweep.submit()
    finally:
        signal.signal(signal.SIGINT, handler)
    said = sweep.wait_step("pretraining 0", 20)
    done = adaptbench("cancel", sweep.study)
    assert done.returncode == 0, done.stderr
    assert [s.state for s in sweep.statuses().values()] == ["cancelled"]
    assert not psutil.pid_exists(said.pid)
    sweep.submit()
    sweep.wait_step("pretraining 0", said.step + 1)
    assert adaptbench("cancel", sweep.study).returncode == 0


def test_two_processes_on_a_cluster_survive_the_death_of_one(
    cluster: Cluster, adaptbench: CommandLine, content: dict[str, Any]
) -> None:
    del cluster
    content["methods"] = ["pretraining"]
    content["training"] |= {"steps": 100}
    resources = {"memory_gb": 2, "minutes": 15, "processes": 2}
    sweep = SweepCommands(adaptbench, content, QUICK | {"resources": resources})
    sweep.submit()
    sweep.worker(sweep.wait_step("pretraining 0", 20)).send_signal(signal.SIGKILL)
    sweep.wait_done(300)
    (record,) = load_records(sweep.results)
    assert record.environment.processes == 2
    plain = study_frame(plain_run(adaptbench, sweep))
    ours = study_frame(sweep.results)
    for loss in ("valid_loss", "test_loss", "generic_loss"):
        assert ours[loss].tolist() == pytest.approx(plain[loss].tolist(), rel=1e-4)
