"""Where a run's job and worker have written."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from slurm.status import RunStatus
from slurm.sweep import Sweep


def log_files(sweep: Sweep, status: RunStatus) -> list[Path]:
    """Logs of the last attempt at a run that exist: of its job, then of its worker."""
    if status.attempt is None:
        return []
    submission = sweep.submissions.get(status.attempt.claim.submission)
    if submission is None:
        return []
    job = submission.jobs.get(status.run_id, "no job")
    files = [
        *sorted((submission.folder / "jobs").glob(f"{job}_*_log.out")),
        *sorted((submission.folder / "jobs").glob(f"{job}_*_log.err")),
        submission.folder / "logs" / f"{status.run_id}.log",
    ]
    return [file for file in files if file.exists() and file.stat().st_size > 0]


def tail(file: Path, lines: int) -> str:
    """The last lines of a file."""
    with file.open(encoding="utf-8", errors="replace") as stream:
        return "".join(deque(stream, maxlen=lines))
