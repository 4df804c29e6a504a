"""A sweep without jobs: its study, and attempts and records as jobs would have left them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from benchmark.study.records import Environment, RunRecord, StageResult, write_record
from benchmark.study.study import RunSpec, Study
from slurm.attempts import Attempts, AttemptState, Claim
from slurm.profile import Profile
from slurm.submissions import Submission, write_submission

PROFILE = Profile(executor="slurm", heartbeat_seconds=10.0, lost_after_seconds=60.0)


def study(seeds: int = 1, methods: tuple[str, ...] = ("pretraining", "random")) -> Study:
    """A study whose data nobody fetches."""
    content = {
        "study": "sweep",
        "data": {"width": 48, "whitespace": "collapse", "near_duplicates": "keep"},
        "models": {"mini": {"preset": "mini"}},
        "targets": {"harbour": {"source": "kjv", "train": 100, "valid": 50, "test": 50}},
        "methods": list(methods),
        "seeds": tuple(range(seeds)),
        "training": {"steps": 100},
        "fine_tuning": {"steps": 10},
    }
    return Study.model_validate(content)


def submission(results: Path, name: str = "first", **values: Any) -> Submission:
    """A published submission."""
    given = {"profile": PROFILE, "submitted": True, **values}
    made = Submission(
        name=name,
        created="2026-01-01T00:00:00+00:00",
        user="somebody",
        host="login",
        commit="c0ffee",
        dirty=False,
        folder=results.parent / "cache" / name,
        cache=results.parent / "cache",
        **given,
    )
    write_submission(results, made)
    return made


def attempt(
    results: Path,
    run: RunSpec,
    said: AttemptState | None = None,
    *,
    number: int = 1,
    of: str = "first",
    age: float = 0.0,
    memory_gb: float = 4.0,
) -> None:
    """An attempt that was claimed, or heard of last, ``age`` seconds ago."""
    attempts = Attempts(results, run.run_id)
    assert attempts.claim(Claim(number=number, submission=of, memory_gb=memory_gb))
    if said is not None:
        attempts.say(number, said)
    then = time.time() - age
    for file in attempts.folder.glob(f"{number}.*.json"):
        os.utime(file, (then, then))


def record(
    run: RunSpec, status: str = "done", reason: str = "", seconds: float = 7200.0
) -> RunRecord:
    """The record of a run, with figures that nobody measured."""
    cost = {"flops": 1e9, "seconds": seconds, "examples": 3200}
    losses = {"valid_loss": 2.0, "test_loss": 2.1, "generic_loss": 2.2}
    stages = [
        StageResult.model_validate({"stage": stage, "step": 1, "rule": "r", "cost": cost, **losses})
        for stage in ("trained", "fine_tuned")
    ]
    return RunRecord.model_validate(
        {
            "run_id": run.run_id,
            "key": run.key,
            "protocol": run.protocol,
            "spec": run,
            "status": status,
            "reason": reason,
            "data": {"fingerprint": "0"},
            "parameters": 1000,
            "initial_weights": "0",
            "stages": stages,
            "environment": Environment(
                versions={},
                commit="c0ffee",
                dirty=False,
                host="node",
                processor="cpu",
                device="cpu",
                threads=1,
            ),
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "2026-01-01T02:00:00+00:00",
        }
    )


def publish(results: Path, made: RunRecord) -> None:
    """Write a record where readers look."""
    write_record(results, made)
