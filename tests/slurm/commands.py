"""The real command on a real sweep: submitting, waiting, hurting, comparing."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import yaml

from benchmark.study.frames import study_frame
from benchmark.study.records import load_metrics, read_index
from slurm.attempts import Attempts, AttemptState
from slurm.queue import ask
from slurm.status import RunStatus, judge_runs
from slurm.submissions import load_submissions
from tests.command_line import CommandLine

QUICK = {
    "executor": "slurm",
    "partition": "main",
    "resources": {"memory_gb": 1, "minutes": 15},
    "heartbeat_seconds": 0.5,
    "lost_after_seconds": 5,
    "signal_delay_seconds": 10,
}


class SweepCommands:
    """One study, submitted with one profile, by the command line."""

    def __init__(
        self, adaptbench: CommandLine, content: dict[str, Any], profile: dict[str, Any]
    ) -> None:
        self.adaptbench = adaptbench
        self.results = adaptbench.folder / "results" / str(content["study"])
        self.study = adaptbench.folder / "swept.yaml"
        self.profile = adaptbench.folder / "profile.yaml"
        self.study.write_text(yaml.safe_dump(content), encoding="utf-8")
        self.profile.write_text(yaml.safe_dump(profile), encoding="utf-8")

    def submit(self, *options: str) -> str:
        """Submit; what was printed."""
        done = self.adaptbench("submit", self.study, "--profile", self.profile, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def statuses(self) -> dict[str, RunStatus]:
        """Where each run stands, by method label and seed."""
        if not (self.results / "study.json").exists():
            return {}
        submissions = load_submissions(self.results)
        runs = read_index(self.results).study.runs()
        judged = judge_runs(runs, self.results, submissions, ask(list(submissions.values())))
        return {f"{s.spec.method.label} {s.spec.seed}": s for s in judged}

    def wait(self, what: str, true: Callable[[dict[str, RunStatus]], bool], seconds: float) -> None:
        """Wait until the statuses are as they should be."""
        deadline = time.monotonic() + seconds
        while not true(found := self.statuses()):
            if time.monotonic() > deadline:
                states = {run: (s.state, s.reason, s.progress) for run, s in found.items()}
                pytest.fail(f"not {what} within {seconds} s: {states}")
            time.sleep(0.1)

    def wait_done(self, seconds: float) -> None:
        """Wait until every run is done."""
        self.wait("all done", lambda found: all(s.state == "done" for s in found.values()), seconds)

    def wait_step(self, run: str, step: int, seconds: float = 120.0) -> AttemptState:
        """Wait until a run is at work beyond a step; what it said."""

        def beyond(found: dict[str, RunStatus]) -> bool:
            if run not in found or found[run].state not in {"running", "done"}:
                return False
            said = found[run].progress
            return found[run].state == "done" or (said is not None and said.step >= step)

        self.wait(f"{run} at step {step}", beyond, seconds)
        said = self.statuses()[run].progress
        assert said is not None
        return said

    def all_done(self) -> bool:
        """Whether every run is done."""
        found = self.statuses()
        return bool(found) and all(status.state == "done" for status in found.values())

    def kill(self, said: AttemptState, whole_job: bool) -> bool:
        """Kill the process that trains, or the job's own; False if it was gone."""
        try:
            victim = psutil.Process(said.pid) if whole_job else self.worker(said)
            victim.send_signal(signal.SIGKILL)
        except (psutil.NoSuchProcess, ValueError):
            return False
        return True

    def start_over(self) -> None:
        """Forget all results and checkpoints."""
        shutil.rmtree(self.results)
        shutil.rmtree(self.adaptbench.cache / "runs")

    def worker(self, said: AttemptState) -> psutil.Process:
        """The process that trains."""
        (child,) = psutil.Process(said.pid).children()
        return child


def plain_run(adaptbench: CommandLine, sweep: SweepCommands) -> Path:
    """Results of the same study, run on this machine without a cluster."""
    run = adaptbench.start("run", sweep.study, "--jobs", "2", "--no-report", "--results", "plain")
    _, said = run.communicate(timeout=600)
    assert run.returncode == 0, said
    return adaptbench.folder / "plain" / sweep.results.name


def assert_equal_to_the_bit(results: Path, expected: Path) -> None:
    """All figures of two results folders but seconds."""
    ours, theirs = (study_frame(folder).drop(columns="seconds") for folder in (results, expected))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    for run_id in theirs["run_id"].unique():
        assert _figures(results, run_id) == _figures(expected, run_id)


def _figures(results: Path, run_id: str) -> str:
    lines = load_metrics(results, run_id)
    return json.dumps([{k: v for k, v in line.items() if k != "seconds"} for line in lines])


def attempts(results: Path) -> dict[str, int]:
    """How often each run was dispatched."""
    return {run_id: Attempts(results, run_id).count() for run_id in read_index(results).runs}
