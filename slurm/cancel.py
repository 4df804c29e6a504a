"""Taking back what was submitted."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable

from benchmark.core.errors import UserError
from slurm.attempts import Attempts, AttemptState
from slurm.queue import Queue, ask
from slurm.status import RunStatus
from slurm.submissions import Submission
from slurm.sweep import Sweep

SECONDS_TO_END = 60.0


def cancel(sweep: Sweep) -> list[RunStatus]:
    """End all jobs of a study; running ones save first. The runs that were cancelled.

    Raises:
        UserError: a scheduler cannot be reached from here, or its jobs do not end.
    """
    submissions = list(sweep.submissions.values())
    before = ask(submissions)
    for submission in submissions:
        _require_reachable(submission, before)
        _end_jobs(submission, before)
    _wait_for_end(submissions)
    open_runs = [s for s in sweep.statuses() if s.state not in {"done", "failed", "missing"}]
    cancelled = [status for status in open_runs if status.state != "cancelled"]
    for status in cancelled:
        _note(sweep, status)
    return cancelled


def _require_reachable(submission: Submission, queue: Queue) -> None:
    if submission.jobs and submission.name not in queue.reachable:
        where = "squeue" if submission.profile.executor == "slurm" else f"host {submission.host}"
        if submission.profile.executor != "debug":
            raise UserError(
                f"submission {submission.name}: its jobs cannot be reached from here ({where}); "
                "cancel where they can be"
            )


def _end_jobs(submission: Submission, queue: Queue) -> None:
    jobs = {*submission.jobs.values(), submission.closing} - {""}
    alive = [job for job in jobs if queue.states.get(job)]
    if submission.profile.executor == "slurm" and alive:
        arrays = sorted({job.split("_")[0] for job in alive})
        subprocess.run(["scancel", *arrays], check=True, capture_output=True)
    elif submission.profile.executor == "local":
        for job in alive:
            # submitit's controller ends its tasks with INT, and then with KILL.
            os.kill(int(job), signal.SIGINT)


def _wait_for_end(submissions: Iterable[Submission]) -> None:
    deadline = time.monotonic() + SECONDS_TO_END
    jobs = {job for submission in submissions for job in submission.jobs.values()}
    while alive := jobs & ask(submissions).states.keys():
        if time.monotonic() > deadline:
            raise UserError(f"{len(alive)} jobs have not ended, among them {sorted(alive)[0]}")
        time.sleep(0.5)


def _note(sweep: Sweep, status: RunStatus) -> None:
    if status.attempt is None:
        return
    said = status.attempt.state
    step = f" at step {said.step} of {said.of}" if said is not None and said.of else ""
    Attempts(sweep.results, status.run_id).say(
        status.attempt.claim.number,
        AttemptState(phase="cancelled", reason=f"cancelled{step}; submit again to go on"),
    )
