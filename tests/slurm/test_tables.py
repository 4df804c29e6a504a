"""States and plans as a terminal shows them."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from slurm.attempts import AttemptState
from slurm.plan import plan_runs
from slurm.queue import Queue
from slurm.status import judge_runs
from slurm.submissions import load_submissions
from slurm.tables import plan_lines, status_table
from tests.slurm import sweeps

RUNNING = AttemptState(phase="running", stage="trained", step=30, of=100, seconds_per_step=2.0)


def test_a_run_takes_one_line_of_80_columns(tmp_path: Path) -> None:
    results = tmp_path / "results"
    runs = sweeps.study(seeds=3, methods=("pretraining",)).runs()
    named = [run.model_copy(update={"model_name": "a_model_with_a_long_name_" * 2}) for run in runs]
    sweeps.submission(results, jobs={run.run_id: f"7_{n}" for n, run in enumerate(named)})
    for run in named:
        sweeps.attempt(results, run, RUNNING)
    statuses = judge_runs(named, results, load_submissions(results), Queue())
    assert {status.state for status in statuses} == {"running"}
    stream = io.StringIO()
    Console(file=stream, width=80).print(status_table(statuses, {}, everything=False))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 + len(named)
    assert max(map(len, lines)) <= 80
    for run, line in zip(named, lines[2:], strict=True):
        assert run.run_id[-12:] in line
        assert "trained 30/100" in line


def test_a_plan_of_runs_that_nobody_measured_gives_no_hours(tmp_path: Path) -> None:
    runs = sweeps.study().runs()
    statuses = judge_runs(runs, tmp_path, {}, Queue())
    plan = plan_runs(statuses, sweeps.PROFILE, lambda _: None)
    text = "\n".join(plan_lines(plan, sweeps.PROFILE))
    assert "no estimate of core-hours" in text
    assert "0.00" not in text
