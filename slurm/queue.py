"""What the scheduler says of jobs: a hint, which may be missing."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from slurm.submissions import Submission

SECONDS_TO_ANSWER = 20
PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Queue:
    """Jobs that the scheduler knows, by id: ``pending`` or ``active``.

    ``reachable`` are the names of the submissions whose scheduler answered.
    """

    states: dict[str, str] = field(default_factory=dict)
    reachable: frozenset[str] = frozenset()

    def state(self, submission: Submission, job: str) -> str | None:
        """``pending``, ``active``, ``absent``; None if nobody answered."""
        if submission.name not in self.reachable:
            return None
        return self.states.get(job, "absent")


def ask(submissions: Iterable[Submission]) -> Queue:
    """Ask SLURM about the jobs of its submissions, and this machine about its own."""
    states: dict[str, str] = {}
    reachable = set()
    by_slurm = [s for s in submissions if s.profile.executor == "slurm" and s.jobs]
    listed = _squeue({s.user for s in by_slurm}) if by_slurm else None
    if listed is not None:
        states |= listed
        reachable |= {s.name for s in by_slurm}
    for submission in submissions if PROCESSES.exists() else ():
        if submission.profile.executor == "local" and submission.host == socket.gethostname():
            jobs = set(submission.jobs.values())
            states |= {job: "active" for job in jobs if _is_controller(int(job))}
            reachable.add(submission.name)
    return Queue(states, frozenset(reachable))


def _squeue(users: Iterable[str]) -> dict[str, str] | None:
    if shutil.which("squeue") is None:
        return None
    command = ["squeue", "--noheader", "--array", f"--user={','.join(sorted(users))}"]
    try:
        answer = subprocess.run(
            [*command, "--format=%i %T"],
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_ANSWER,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return None
    jobs = (line.split() for line in answer.stdout.splitlines())
    return {job: "pending" if state == "PENDING" else "active" for job, state in jobs}


def _is_controller(pid: int) -> bool:
    """Whether a process is (still) one of submitit's local controllers."""
    try:
        return b"submitit.local._local" in (PROCESSES / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
