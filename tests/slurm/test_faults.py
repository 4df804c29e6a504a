"""Everything that a cluster does to jobs, done to the study ``mini`` at a tiny budget (slow)."""

from __future__ import annotations

import signal
from typing import Any

import pytest
import yaml

from benchmark.study import embedded_studies
from tests.conftest import CommandLine
from tests.slurm.commands import QUICK, SweepCommands, assert_equal_to_the_bit, plain_run
from tests.slurm.conftest import Cluster, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROFILE = {
    **QUICK,
    # Short enough for the slowest run to meet it; the others end before.
    "overrides": [{"methods": ["dds"], "minutes": 1}],
    "array_parallelism": 4,
}


@pytest.fixture
def content() -> dict[str, Any]:
    """The study mini on its first target, at a tenth of its budget."""
    content: dict[str, Any] = yaml.safe_load(embedded_studies()["mini"].read_text("utf-8"))
    target = next(iter(content["targets"]))
    content["targets"] = {target: content["targets"][target]}
    content["training"] |= {"steps": 400, "warmup": 20, "evaluate_every": 50}
    content["fine_tuning"] |= {"steps": 20, "evaluate_every": 10}
    return content


@pytest.mark.usefixtures("cluster")
def test_mini_survives_all_that_a_cluster_does(
    adaptbench: CommandLine, content: dict[str, Any], cluster: Cluster
) -> None:
    sweep = SweepCommands(adaptbench, content, PROFILE)
    sweep.submit()

    # A job of a partition that goes before preempts what runs.
    sweep.wait_step("pretraining 0", 20, seconds=200)
    cluster.run(
        "sbatch", "--partition=high", "--cpus-per-task=4", "--wrap=sleep 2", "--output=/dev/null"
    )
    sweep.wait(
        "preempted",
        lambda found: any(
            s.progress is not None and s.progress.phase == "requeued" for s in found.values()
        ),
        60,
    )
    # A worker is killed.
    sweep.worker(sweep.wait_step("classifier 0", 40, 200)).send_signal(signal.SIGKILL)
    # The node fails, and comes back by itself as soon as it is heard of.
    sweep.wait_step("mixing 0", 20, 200)
    cluster.run("scontrol", "update", "nodename=node1", "state=down", "reason=test")
    # A run is told to save and requeue by its signal.
    said = sweep.wait_step("random 0", 20, 200)
    if sweep.statuses()["random 0"].state == "running":
        cluster.run("scancel", "--signal=USR2", said.job)

    sweep.wait_done(500)
    wait_until(lambda: not cluster.run("squeue", "--noheader"), 60, "the queue is empty")
    logs = "".join(
        file.read_text(errors="replace") for file in adaptbench.cache.rglob("jobs/*_log.*")
    )
    assert "this job is timed-out" in logs
    assert "Requeued job" in logs
    assert_equal_to_the_bit(sweep.results, plain_run(adaptbench, sweep))
