"""Everything that a cluster does to jobs, done to the study ``mini`` at a tiny budget.

With ``ADAPTBENCH_PACKAGES`` naming the ``packages`` folder of a cache, nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import signal
from typing import Any

import pytest

from slurm.status import RunStatus
from tests.command_line import CommandLine
from tests.conftest import embedded_content
from tests.slurm.commands import QUICK, SweepCommands, assert_equal_to_the_bit, plain_run
from tests.slurm.conftest import Cluster, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

PROFILE = {
    **QUICK,
    # Short enough for the slowest run to meet it; the others end before.
    "overrides": [{"methods": ["dds"], "minutes": 1}],
    "array_parallelism": 4,
}


NETWORK = {"kind": "bag_of_ngrams", "embedding": 32, "hidden": 32, "span": 1}
SETTINGS = {"network": NETWORK, "network_rate": 0.01}
METHODS: list[Any] = [
    "pretraining",
    "random",
    "mixing",
    "target_only",
    {"method": "classifier", "hyperparameters": SETTINGS},
    {"method": "dds", "hyperparameters": {**SETTINGS, "look_ahead": 0.0}},
]


@pytest.fixture
def content() -> dict[str, Any]:
    """Six methods of the study mini on its first target, for fewer steps."""
    content = embedded_content("mini")
    del content["tuned"]
    content["methods"] = METHODS
    target = next(iter(content["targets"]))
    content["targets"] = {target: content["targets"][target]}
    content["training"] |= {"steps": 400, "warmup": 20, "evaluate_every": 50}
    content["fine_tuning"] |= {"steps": 20, "evaluate_every": 10}
    return content


def test_mini_survives_all_that_a_cluster_does(
    adaptbench: CommandLine, content: dict[str, Any], cluster: Cluster
) -> None:
    if "ADAPTBENCH_PACKAGES" in os.environ:
        shutil.copytree(os.environ["ADAPTBENCH_PACKAGES"], adaptbench.cache / "packages")
    sweep = SweepCommands(adaptbench, content, PROFILE)
    # Packages are fetched and rows built, which takes minutes on a fresh machine.
    built = adaptbench.start("data", "build", sweep.study)
    assert "medical_hpo" in built.communicate(timeout=600)[0]
    sweep.submit()

    # A job of a partition that goes before preempts what runs.
    sweep.wait_step("pretraining 0", 20, seconds=400)
    cluster.run(
        "sbatch", "--partition=high", "--cpus-per-task=4", "--wrap=sleep 2", "--output=/dev/null"
    )
    sweep.wait(
        "preempted",
        lambda found: any(
            s.progress is not None and s.progress.phase == "requeued" for s in found.values()
        ),
        120,
    )
    # A worker is killed.
    sweep.worker(sweep.wait_step("classifier 0", 40, 400)).send_signal(signal.SIGKILL)
    # The node fails, and all that runs on it with it. It is back as soon as it is heard of.
    sweep.wait_step("mixing 0", 20, 400)
    running = [s.progress for s in sweep.statuses().values() if s.state == "running"]
    cluster.run("scontrol", "update", "nodename=node1", "state=down", "reason=test")
    for said in running:
        assert said is not None
        sweep.kill(said, whole_job=False)
        sweep.kill(said, whole_job=True)
    # A run is told to save and requeue. (scancel would signal a task of an array again and again
    # while others of it wait.)
    sweep.wait("told to requeue", _told_to_requeue, 400)
    sweep.wait_done(900)
    wait_until(lambda: not cluster.run("squeue", "--noheader"), 60, "the queue is empty")
    logs = "".join(
        file.read_text(errors="replace") for file in adaptbench.cache.rglob("jobs/*_log.*")
    )
    assert "this job is timed-out" in logs
    assert "Requeued job" in logs
    assert_equal_to_the_bit(sweep.results, plain_run(adaptbench, sweep))


def _told_to_requeue(found: dict[str, RunStatus]) -> bool:
    """Signal the run's job if it is at work; there is nothing to tell one that is done."""
    status = found["random 0"]
    if status.state == "done":
        return True
    said = status.progress
    if status.state != "running" or said is None or said.step < 20:
        return False
    try:
        os.kill(said.pid, signal.SIGUSR2)
    except ProcessLookupError:
        return False
    return True
