"""States and plans as a terminal shows them."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from benchmark.study.collapse import last_selection
from benchmark.study.records import write_metrics
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


def test_a_run_that_has_collapsed_is_marked_though_it_is_done(tmp_path: Path) -> None:
    runs = sweeps.study(seeds=2).runs()
    weighing = runs[:2]
    for run, entropy in zip(weighing, (0.0, 4.0), strict=True):
        sweeps.publish(tmp_path, sweeps.record(run))
        lines = [
            {"stage": "trained", "step": 50, "weights_entropy": 4.0 - entropy},
            {"stage": "trained", "step": 100, "weights_entropy": entropy},
            {"stage": "fine_tuned", "step": 10},
        ]
        write_metrics(tmp_path, run.run_id, lines)
    statuses = judge_runs(runs, tmp_path, {}, Queue())
    found = {run.run_id: last_selection(tmp_path, run.run_id, 32) for run in runs}
    shown = {name: selection for name, selection in found.items() if selection is not None}
    assert list(shown) == [run.run_id for run in weighing]
    stream = io.StringIO()
    Console(file=stream, width=120).print(status_table(statuses, shown, everything=False))
    text = stream.getvalue()
    assert "1.0 of 32 ‡" in text
    assert "‡ 1 collapsed" in text
    assert runs[1].run_id not in text
    stream = io.StringIO()
    Console(file=stream, width=120).print(status_table(statuses, shown, everything=True))
    (line,) = (line for line in stream.getvalue().splitlines() if "54.6 of 32" in line)
    assert "‡" not in line


def test_a_plan_of_runs_that_nobody_measured_gives_no_hours(tmp_path: Path) -> None:
    runs = sweeps.study().runs()
    statuses = judge_runs(runs, tmp_path, {}, Queue())
    plan = plan_runs(statuses, sweeps.PROFILE, lambda _: None)
    text = "\n".join(plan_lines(plan, sweeps.PROFILE))
    assert "no estimate of core-hours" in text
    assert "0.00" not in text
