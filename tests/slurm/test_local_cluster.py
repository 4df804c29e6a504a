"""slurm/local_cluster.sh, and what the rest of the tests rely on in the cluster it starts."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
import pytest
import submitit

from tests.slurm.conftest import (
    SCRIPT,
    UNAVAILABLE,
    Cluster,
    clean_environment,
    give_up,
    local_cluster,
    start,
    wait_until,
)

pytestmark = pytest.mark.xdist_group("slurm")

# submitit takes every signal for a timeout where a job may run for ten minutes or less.
MINUTES = 12

Folders = Callable[[], Path]


def daemons(folder: Path) -> list[psutil.Process]:
    """The three daemons of a cluster that runs."""
    return [
        psutil.Process(int(path.read_text().split()[0]))
        for path in sorted((folder / "run").glob("*.process"))
    ]


def processes(folder: Path) -> list[psutil.Process]:
    """Every live process of a cluster: those whose variables or command name its folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if str(folder) in " ".join([*process.environ().values(), *process.cmdline()]):
                found.append(process)
    return found


def submit(running: Cluster, script: str, *options: str) -> str:
    """The id of a job of this script."""
    return running.run("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={script}")


def wait_running(running: Cluster, job: str, seconds: float = 15) -> None:
    wait_until(lambda: running.state(job) == "RUNNING", seconds, f"job {job} runs")


def test_start_env_and_stop(cluster_folders: Folders) -> None:
    folder = cluster_folders()
    running = start(folder, ["--max-array", "77", "--memory", "4000"])
    first = daemons(folder)
    assert [process.is_running() for process in first] == [True] * 3
    assert running.run("sinfo", "--noheader", "--format=%P %T %c %m") == (
        "main* idle 4 4000\nhigh idle 4 4000"
    )
    assert "MaxArraySize            = 77" in running.run("scontrol", "show", "config")

    again = local_cluster("start", folder)
    assert again.returncode == 0
    assert f"already running in {folder} (idle)" in again.stdout
    assert daemons(folder) == first

    lines = local_cluster("env", folder).stdout
    assert lines == f"export SLURM_CONF={running.conf}\n"
    told = subprocess.run(
        ["bash", "-c", f"{lines} scontrol ping"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "is UP" in told.stdout

    stopped = local_cluster("stop", folder)
    assert stopped.returncode == 0
    assert all(str(process.pid) in stopped.stdout for process in first)
    assert processes(folder) == []
    assert f"nothing was running in {folder}" in local_cluster("stop", folder).stdout
    assert local_cluster("env", folder).returncode == 1


def test_stop_ends_jobs_that_ignore_it(cluster_folders: Folders, tmp_path: Path) -> None:
    folder, child = cluster_folders(), tmp_path / "child"
    running = start(folder)
    submit(running, f"trap '' TERM; sleep 300 & echo $! > {shlex.quote(str(child))}; wait")
    waiting = submit(running, "sleep 300", "--exclusive")
    wait_until(lambda: child.exists() and child.read_text(), 15, "the job runs")
    sleeper = psutil.Process(int(child.read_text()))
    assert running.state(waiting) == "PENDING"
    done = local_cluster("stop", folder)
    assert done.returncode == 0, done.stderr
    assert "job process(es)" in done.stdout
    assert processes(folder) == []
    assert not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE


def test_two_clusters_side_by_side(cluster: Cluster, cluster_folders: Folders) -> None:
    other = start(cluster_folders())
    mine = submit(cluster, "sleep 300")
    assert other.run("squeue", "--noheader") == ""
    assert other.run("srun", "echo", "hello") == "hello"
    local_cluster("stop", other.folder)
    assert cluster.state(mine) in ("PENDING", "RUNNING")
    cluster.run("scancel", mine)


def test_start_after_everything_was_killed(cluster_folders: Folders) -> None:
    folder = cluster_folders()
    running = start(folder)
    wait_running(running, submit(running, "exec sleep 300"))
    killed = daemons(folder)
    for process in killed:
        process.kill()
    again = local_cluster("start", folder)
    assert again.returncode == 0, again.stderr
    assert not {process.pid for process in killed} & {process.pid for process in daemons(folder)}
    assert running.run("squeue", "--noheader") == ""
    assert running.run("srun", "echo", "hello") == "hello"
    local_cluster("stop", folder)
    assert processes(folder) == [], "the step that outlived its daemons"


def test_stop_spares_whoever_has_the_pid_now(cluster_folders: Folders) -> None:
    folder = cluster_folders()
    start(folder)
    local_cluster("stop", folder)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        for name in ("munged", "slurmctld", "slurmd"):
            (folder / "run" / f"{name}.process").write_text(f"{stranger.pid} 1\n")
        assert "nothing was running" in local_cluster("stop", folder).stdout
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.usefixtures("cluster")  # skipped where this machine cannot run one
def test_a_failed_start_shows_logs_and_leaves_nothing(cluster_folders: Folders) -> None:
    """It fails as munged refuses an empty key: nothing is read where one is made."""
    folder = cluster_folders()
    done = subprocess.run(
        ["bash", "-c", 'head() { :; }; . "$0" start "$1"', str(SCRIPT), str(folder)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "--- end of" in done.stderr
    assert "munged ended; stopped nothing again" in done.stderr.splitlines()[-1]
    assert processes(folder) == []


@pytest.mark.usefixtures("cluster")  # skipped where this machine cannot run one
def test_a_folder_of_something_else_is_left_alone(cluster_folders: Folders) -> None:
    folder = cluster_folders()
    (folder / "log").mkdir()
    (folder / "log" / "mine").write_text("keep")
    done = local_cluster("start", folder)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "holds something else" in done.stderr
    assert (folder / "log" / "mine").read_text() == "keep"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("id() { echo 1000; }", "must run as root"),
        (
            # Everything is there but slurmctld, whatever this machine has.
            "type() { [[ $2 != slurmctld ]]; }; id() { echo 0; }",
            "slurmctld is not installed; run: apt-get update && apt-get install -y"
            " --no-install-recommends slurm-wlm munge",
        ),
        (
            "type() { :; }; id() { echo 0; }; getent() { return 2; }",
            "does not resolve; run: echo 127.0.0.1",
        ),
    ],
    ids=["not root", "not installed", "host name unknown"],
)
def test_one_line_says_why_it_cannot_start(
    function: str, message: str, cluster_folders: Folders
) -> None:
    """The machine that lacks something is played by shell functions in place of its commands."""
    command = f'{function}; . "$0" start "$1"'
    done = subprocess.run(
        ["bash", "-c", command, str(SCRIPT), str(cluster_folders())],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == UNAVAILABLE
    assert done.stderr.startswith("local_cluster.sh: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["restart"], ["start", "--cpus", "none"], ["start", "--cpus"], ["env", "/a b"],
     ["env", "/" + "a" * 71], ["start", "a", "b"]],
)  # fmt: skip
def test_wrong_usage_is_told(arguments: list[str]) -> None:
    done = subprocess.run(
        [str(SCRIPT), *arguments],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (64, 1)


def test_a_required_cluster_is_not_skipped() -> None:
    with pytest.raises(pytest.skip.Exception, match="why"):
        give_up(UNAVAILABLE, "why", required=False)
    with pytest.raises(pytest.fail.Exception, match="why"):
        give_up(UNAVAILABLE, "why", required=True)
    with pytest.raises(pytest.fail.Exception, match="why"):
        give_up(1, "why", required=False)


@pytest.fixture
def by_value() -> Iterator[None]:
    """Jobs get this module's functions themselves, not its name: they may run anywhere."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def executor(folder: Path, cpus: int = 1) -> submitit.AutoExecutor:
    made = submitit.AutoExecutor(folder=folder, cluster="slurm")
    made.update_parameters(timeout_min=MINUTES, cpus_per_task=cpus, slurm_partition="main")
    return made


class Steps:
    """Counts to `count` on file; what it returns is where each of its runs began."""

    def __init__(self, file: Path, count: int) -> None:
        self.file, self.count = file, count

    def __call__(self) -> list[int]:
        began = self.done()
        with self.file.open("a") as file:
            print(f"began {began}", file=file)
        for _ in range(began, self.count):
            time.sleep(0.1)
            with self.file.open("a") as file:
                print("step", file=file)
        lines = self.file.read_text().splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith("began")]

    def done(self) -> int:
        return self.file.read_text().splitlines().count("step") if self.file.exists() else 0

    def checkpoint(self, *_: Any) -> submitit.helpers.DelayedSubmission:
        # SLURM's TERM follows and must not end the request for another run.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return submitit.helpers.DelayedSubmission(self)


@pytest.mark.usefixtures("by_value")
def test_submitit_brings_a_result_back(cluster: Cluster, tmp_path: Path) -> None:
    job = executor(tmp_path).submit(divmod, 17, 5)
    wait_until(job.done, 30, cluster.logs)
    assert job.result() == (3, 2)


@pytest.mark.usefixtures("by_value")
def test_a_preempted_job_goes_on_where_it_was(cluster: Cluster, tmp_path: Path) -> None:
    steps = Steps(tmp_path / "steps", count=40)
    job = executor(tmp_path / "jobs", cpus=4).submit(steps)
    wait_until(lambda: steps.done() >= 3, 30, cluster.logs)
    high = submit(cluster, "sleep 1", "--partition=high", "--cpus-per-task=4")
    wait_until(lambda: cluster.state(high) == "COMPLETED", 30, cluster.logs)
    wait_until(lambda: job.done(force_check=True), 40, cluster.logs)
    first, second = job.result()
    assert (first, 3 <= second < 40) == (0, True)
    wait_until(lambda: cluster.state(job.job_id) == "COMPLETED", 10, "SLURM sees the end, too")


def test_a_job_of_a_node_that_went_down_runs_again(cluster: Cluster, tmp_path: Path) -> None:
    """The node comes back by itself, as its slurmd still answers: nobody has to resume it."""
    runs = tmp_path / "runs"
    script = f"echo ${{SLURM_RESTART_COUNT:-0}} >> {shlex.quote(str(runs))}; sleep 300"
    job = submit(cluster, script)
    wait_until(runs.exists, 15, cluster.logs)
    cluster.run("scontrol", "update", "nodename=node1", "state=down", "reason=test")
    wait_until(lambda: cluster.state(job) == "PENDING", 15, cluster.logs)
    state = ("sinfo", "--noheader", "--partition=main", "--format=%T")
    wait_until(lambda: cluster.run(*state) in ("idle", "mixed"), 20, "the node is back")
    wait_until(lambda: runs.read_text() == "0\n1\n", 30, cluster.logs)
    cluster.run("scancel", job)
