"""What has become of each run, judged from our own files; the scheduler is only a hint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.study.records import RunSummary, read_summary
from benchmark.study.study import RunSpec
from slurm.attempts import Attempt, Attempts, AttemptState, file_system_time
from slurm.profile import Profile
from slurm.queue import Queue
from slurm.submissions import Submission

State = Literal["done", "failed", "running", "queued", "lost", "cancelled", "missing"]
STATES: tuple[State, ...] = (
    "done",
    "running",
    "queued",
    "failed",
    "lost",
    "cancelled",
    "missing",
)
SUBMITTING_SECONDS = 600.0
"""A submission that has no jobs after so long was itself killed."""


@dataclass(frozen=True)
class RunStatus:
    """One run: its state and why; ``age`` is the heartbeat's, in seconds."""

    spec: RunSpec
    run_id: str
    state: State
    reason: str = ""
    attempt: Attempt | None = None
    age: float = 0.0
    record: RunSummary | None = None

    @property
    def progress(self) -> AttemptState | None:
        """What the run's job said last."""
        return self.attempt.state if self.attempt else None

    @property
    def out_of_memory(self) -> bool:
        """Whether the last attempt ran out of memory."""
        return self.progress is not None and self.progress.phase == "out_of_memory"

    def may_try_again(self, profile: Profile) -> bool:
        """Whether the run is to be dispatched again without anybody asking.

        That is if it was lost or ran out of memory for the first time.
        """
        if self.attempt is None or self.attempt.claim.number >= profile.max_attempts:
            return False
        if self.state == "failed" and self.out_of_memory:
            return self.attempt.claim.memory_gb <= profile.resources_of(self.spec).memory_gb
        return self.state == "lost"

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the present stage's speed, to the end of that stage."""
        progress = self.progress
        if self.state != "running" or progress is None or progress.seconds_per_step is None:
            return None
        return max(0.0, (progress.of - progress.step) * progress.seconds_per_step - self.age)


def judge_runs(
    runs: Iterable[RunSpec],
    results: Path,
    submissions: dict[str, Submission],
    queue: Queue,
) -> list[RunStatus]:
    """The status of each run, in order."""
    now = file_system_time(results)
    return [_judge(run, results, submissions, queue, now) for run in runs]


def count(statuses: Iterable[RunStatus]) -> dict[State, int]:
    """How many runs are in each state; states without a run are left out."""
    counted = Counter(status.state for status in statuses)
    return {state: counted[state] for state in STATES if counted[state]}


def _judge(
    run: RunSpec, results: Path, submissions: dict[str, Submission], queue: Queue, now: float
) -> RunStatus:
    run_id = run.run_id
    record = read_summary(results, run_id)
    attempt = Attempts(results, run_id).last()
    age = now - attempt.written if attempt else 0.0
    if record is not None:
        state: State = "done" if record.status == "done" else "failed"
        return RunStatus(run, run_id, state, record.reason, attempt, age, record)
    if attempt is None:
        return RunStatus(run, run_id, "missing")
    state, reason = _judge_attempt(run_id, attempt, submissions, queue, age)
    return RunStatus(run, run_id, state, reason, attempt, age)


def _judge_attempt(
    run_id: str,
    attempt: Attempt,
    submissions: dict[str, Submission],
    queue: Queue,
    age: float,
) -> tuple[State, str]:
    submission = submissions.get(attempt.claim.submission)
    if submission is None:
        return "lost", f"claimed by {attempt.claim.submission}, which left no file"
    said = attempt.state
    if said is not None and said.phase in {"failed", "out_of_memory"}:
        return "failed", said.reason
    if said is not None and said.phase == "cancelled":
        return "cancelled", said.reason
    job = submission.jobs.get(run_id)
    if job is None:
        return _judge_unsubmitted(submission, age)
    hint = queue.state(submission, job)
    silent = age > submission.profile.lost_after_seconds
    if said is not None and said.phase == "running" and not silent:
        if hint == "absent" and age > 2 * submission.profile.heartbeat_seconds:
            return "lost", "its job is gone"
        return "running", ""
    if hint == "pending" or (hint == "active" and (said is None or said.phase == "requeued")):
        return "queued", "" if said is None else said.reason
    return _judge_silent(said, hint, silent, age)


def _judge_unsubmitted(submission: Submission, age: float) -> tuple[State, str]:
    if submission.submitted:
        return "lost", f"{submission.name} has no job for it"
    if age > SUBMITTING_SECONDS:
        return "lost", f"{submission.name} was killed before it had submitted"
    return "queued", "being submitted"


def _judge_silent(
    said: AttemptState | None, hint: str | None, silent: bool, age: float
) -> tuple[State, str]:
    """A run that is not at work: waiting, as far as anybody knows, or lost."""
    waits = said is None or said.phase in {"requeued", "stopped"}
    if waits and not (silent and hint == "absent"):
        return "queued", "" if said is None else said.reason
    if said is None:
        return "lost", "its job is gone and never began"
    why = said.reason or f"no heartbeat for {age:.0f} s"
    return "lost", why + (", its job is gone" if hint == "absent" else "")
