"""A real SLURM of one node for the tests that need one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

SCRIPT = Path(__file__).parents[2] / "slurm" / "local_cluster.sh"
REQUIRE = "ADAPTBENCH_REQUIRE_SLURM"
UNAVAILABLE = 69  # the script's status where this machine cannot run a cluster
LONGEST_TEMPORARY = 40  # characters; a cluster's sockets lie below and have a limit


def clean_environment() -> dict[str, str]:
    """The environment without what a job or a user's shell says about another cluster."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLURM_", "SBATCH_", "SLURMD_"))
    }


def local_cluster(
    action: str, folder: Path, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """What slurm/local_cluster.sh did and said."""
    return subprocess.run(
        [str(SCRIPT), action, *options, str(folder)],
        env=clean_environment() | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def give_up(status: int, message: str, required: bool) -> NoReturn:
    """Skip where this machine cannot run a cluster, unless it has to; fail on all else."""
    if status == UNAVAILABLE and not required:
        pytest.skip(message)
    pytest.fail(message, pytrace=False)


def wait_until(true: Callable[[], object], seconds: float, what: str | Callable[[], str]) -> None:
    """Return as soon as it is true; fail, saying what was awaited, where it is not in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.1)


@dataclass(frozen=True)
class Cluster:
    """A running cluster of one node, `node1`, with the partitions `main` and `high`."""

    folder: Path

    @property
    def conf(self) -> Path:
        """What SLURM_CONF names in its clients."""
        return self.folder / "slurm.conf"

    def run(self, *command: str) -> str:
        """What a command such as squeue prints."""
        environment = clean_environment() | {"SLURM_CONF": str(self.conf)}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def state(self, job: str) -> str:
        """A job's state, as in RUNNING."""
        return self.run("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T")

    def logs(self) -> str:
        """What its daemons wrote, for a test that fails."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted((self.folder / "log").glob("*.log"))
        )


def start(folder: Path, options: Sequence[str] = ()) -> Cluster:
    """A cluster in this folder, with four CPUs whatever the machine has."""
    done = local_cluster("start", folder, "--cpus", "4", *options)
    if done.returncode:
        give_up(done.returncode, done.stderr.strip(), os.environ.get(REQUIRE) == "1")
    return Cluster(folder)


@pytest.fixture
def cluster_folders() -> Iterator[Callable[[], Path]]:
    """A maker of folders for clusters of a test's own; all are stopped and removed at its end."""
    folders: list[Path] = []

    def make() -> Path:
        folders.append(short_folder())
        return folders[-1]

    yield make
    for folder in folders:
        stop_and_remove(folder)


def short_folder() -> Path:
    """An empty temporary folder that leaves room for the paths of sockets in it."""
    parent = tempfile.gettempdir()
    return Path(
        tempfile.mkdtemp(
            prefix="slurm-", dir=parent if len(parent) <= LONGEST_TEMPORARY else "/tmp"
        )
    )


def stop_and_remove(folder: Path) -> None:
    """Keep the folder where something in it could not be stopped."""
    done = local_cluster("stop", folder)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster that SLURM's commands and submitit use in the tests of this process."""
    folder = short_folder()
    try:
        running = start(folder)
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ.keys() - clean_environment().keys():
                patch.delenv(name)
            patch.setenv("SLURM_CONF", str(running.conf))
            yield running
    finally:
        stop_and_remove(folder)
