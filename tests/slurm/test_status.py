"""A run's state is judged from files; the scheduler's word only tells waiting from lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm.attempts import AttemptState
from slurm.profile import Profile
from slurm.queue import Queue
from slurm.status import RunStatus, count, judge_runs
from slurm.submissions import load_submissions
from tests.slurm import sweeps

JOB = "7_0"
NOBODY = Queue()
RUNNING = AttemptState(phase="running", stage="trained", step=30, of=100, seconds_per_step=2.0)


def judged(results: Path, queue: Queue = NOBODY) -> RunStatus:
    runs = sweeps.study(methods=("random",)).runs()
    return judge_runs(runs, results, load_submissions(results), queue)[0]


def says(state: str) -> Queue:
    """A scheduler that answers."""
    states = {} if state == "absent" else {JOB: state}
    return Queue(states, frozenset({"first"}))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.mark.parametrize(
    ("said", "age", "hint", "expected"),
    [
        (None, 5.0, None, "queued"),
        (None, 9999.0, None, "queued"),
        (None, 9999.0, "pending", "queued"),
        (None, 5.0, "absent", "queued"),
        (None, 61.0, "absent", "lost"),
        (RUNNING, 5.0, None, "running"),
        (RUNNING, 5.0, "absent", "running"),
        (RUNNING, 25.0, "absent", "lost"),
        (RUNNING, 61.0, None, "lost"),
        (RUNNING, 61.0, "active", "lost"),
        (RUNNING, 61.0, "pending", "queued"),
        (AttemptState(phase="requeued"), 9999.0, None, "queued"),
        (AttemptState(phase="requeued"), 9999.0, "pending", "queued"),
        (AttemptState(phase="requeued"), 9999.0, "absent", "lost"),
        (AttemptState(phase="stopped"), 5.0, "absent", "queued"),
        (AttemptState(phase="stopped"), 61.0, "absent", "lost"),
        (AttemptState(phase="failed", reason="because"), 5.0, "active", "failed"),
        (AttemptState(phase="out_of_memory"), 5.0, None, "failed"),
        (AttemptState(phase="cancelled"), 5.0, None, "cancelled"),
    ],
)
def test_what_was_said_last_when_and_the_hint(
    results: Path, said: AttemptState | None, age: float, hint: str | None, expected: str
) -> None:
    run = sweeps.study(methods=("random",)).runs()[0]
    sweeps.submission(results, jobs={run.run_id: JOB})
    sweeps.attempt(results, run, said, age=age)
    status = judged(results, says(hint) if hint else NOBODY)
    assert status.state == expected
    if expected == "lost" or (said is not None and said.phase == "failed"):
        assert status.reason


def test_a_record_decides_whatever_else_is_said(results: Path) -> None:
    run = sweeps.study(methods=("random",)).runs()[0]
    assert judged(results).state == "missing"
    sweeps.submission(results, jobs={run.run_id: JOB})
    sweeps.attempt(results, run, RUNNING, age=9999.0)
    sweeps.publish(results, sweeps.record(run, "failed", "loss is nan at step 3"))
    assert (judged(results).state, judged(results).reason) == ("failed", "loss is nan at step 3")
    sweeps.publish(results, sweeps.record(run))
    assert judged(results, says("absent")).state == "done"


def test_claims_of_a_submission_that_never_got_jobs(results: Path) -> None:
    run = sweeps.study(methods=("random",)).runs()[0]
    sweeps.submission(results, submitted=False)
    sweeps.attempt(results, run, age=30.0)
    assert judged(results).state == "queued"
    sweeps.attempt(results, run, number=2, age=601.0)
    assert judged(results).state == "lost"
    assert "killed before it had submitted" in judged(results).reason
    sweeps.attempt(results, run, number=3, of="unknown")
    assert judged(results).state == "lost"


def test_time_left_counts_from_the_last_heartbeat(results: Path) -> None:
    run = sweeps.study(methods=("random",)).runs()[0]
    sweeps.submission(results, jobs={run.run_id: JOB})
    sweeps.attempt(results, run, RUNNING, age=10.0)
    assert judged(results).seconds_left == pytest.approx(70 * 2.0 - 10.0, abs=2.0)


def test_lost_runs_are_tried_again_boundedly_and_memory_grows_once(results: Path) -> None:
    run = sweeps.study(methods=("random",)).runs()[0]
    profile = Profile(executor="slurm", max_attempts=3)
    sweeps.submission(results, jobs={run.run_id: JOB})
    sweeps.attempt(results, run, AttemptState(phase="out_of_memory", reason="killed"))
    assert judged(results).may_try_again(profile)
    sweeps.attempt(results, run, AttemptState(phase="out_of_memory"), number=2, memory_gb=8.0)
    assert not judged(results).may_try_again(profile)
    sweeps.attempt(results, run, AttemptState(phase="failed", reason="nan"), number=3)
    assert not judged(results).may_try_again(profile)
    sweeps.attempt(results, run, RUNNING, number=4, age=9999.0)
    assert judged(results).state == "lost"
    assert not judged(results).may_try_again(profile)
    assert judged(results).may_try_again(Profile(executor="slurm", max_attempts=5))


def test_counts_leave_out_states_without_runs(results: Path) -> None:
    runs = sweeps.study(seeds=3).runs()
    sweeps.publish(results, sweeps.record(runs[0]))
    assert count(judge_runs(runs, results, {}, NOBODY)) == {"done": 1, "missing": 5}
