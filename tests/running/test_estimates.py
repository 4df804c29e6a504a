"""What runs will take: which source tells, sums over lanes, the time left; clocks are made up."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmark.cli.planning import plan_block, plan_lines
from benchmark.methods.registry import resolve
from benchmark.report.tables.rendering import terminal
from benchmark.report.tables.time_blocks import time_blocks
from benchmark.running.estimate import (
    Estimate,
    Estimates,
    FromRecords,
    FromStepTimes,
    makespan,
    run_seconds,
)
from benchmark.running.local import Settings, run_study
from benchmark.running.planning import Plan, plan_study
from benchmark.running.progress import StudyProgress
from benchmark.running.quantities import duration, size
from benchmark.running.time_left import TimeLeft
from benchmark.study.records import Environment, RunRecord, RunSummary, load_records
from benchmark.study.step_times import MethodTimes, StudyTimes, step_key
from benchmark.study.study import RunSpec, Study
from tests.slurm import sweeps

ENVIRONMENT = {
    "versions": {},
    "commit": "c0ffee",
    "dirty": False,
    "host": "here",
    "processor": "one",
    "device": "cpu",
    "threads": 1,
}


def method_times(run: RunSpec, **changes: Any) -> MethodTimes:
    return MethodTimes.model_validate(
        {
            "model": run.model_name,
            "method": run.method.label,
            "run_id": run.run_id,
            "key": step_key(run),
            "seconds": {"low": 1.5, "median": 2.0, "high": 2.5},
            "ratio": {"low": 1.0, "median": 1.25, "high": 1.5},
            "parts": {"data": 0.5, "main update": 1.0, "other": 0.5},
            "flops": 4e9,
            "once": {"preparation": 7.0},
            "phases": {},
            "course": [[0, 7.0], [100, 207.0]],
            "memory_bytes": 300_000_000,
            "overheads": {
                "start_seconds": 3.0,
                "evaluation_seconds": 1.0,
                "test_seconds": 0.5,
                "checkpoint_seconds": 0.25,
                "checkpoint_bytes": 5_000_000,
                "weights_bytes": 1_000_000,
            },
        }
        | changes
    )


def study_times(runs: list[RunSpec]) -> StudyTimes:
    return StudyTimes(
        study="sweep",
        reference="pretraining",
        rounds=9,
        steps_a_turn=3,
        product_flops={"low": 1e9, "median": 8e9, "high": 9e9},
        product_size=1024,
        environment=Environment.model_validate(ENVIRONMENT),
        measured="2026-01-02T03:04:05+00:00",
        methods=tuple(map(method_times, runs)),
    )


def ended(record: RunRecord) -> tuple[RunSpec, RunSummary]:
    return record.spec, RunSummary.model_validate(record.model_dump())


def test_a_run_takes_its_start_its_steps_and_its_measurements() -> None:
    (run, *_) = sweeps.study().runs()
    # Evaluated at step 100, in fine-tuning at step 10, and at the end of both stages.
    assert run_seconds(run, method_times(run)) == 3 + 207 + 10 * 1.0 + 4 * 1.25 + 2 * 0.5


def test_the_first_source_that_knows_a_run_tells() -> None:
    plain, random = sweeps.study().runs()
    times = FromStepTimes(study_times([plain]), "cpu", "step times")
    records = FromRecords([ended(sweeps.record(run)) for run in (plain, random)], "cpu")
    told = [Estimates(times, records).of(run) for run in (plain, random)]
    assert [estimate and estimate.source for estimate in told] == [
        "step times",
        "records of such runs",
    ]
    assert [estimate and estimate.memory for estimate in told] == [300_000_000, None]
    assert FromStepTimes(study_times([plain]), "cuda", "elsewhere").of(plain) is None
    assert FromRecords([ended(sweeps.record(plain))], "cuda").of(plain) is None
    assert Estimates(FromStepTimes(None, "cpu", "none")).of(plain) is None


def test_a_record_tells_the_time_of_its_processes_evaluations_included() -> None:
    (plain, *_) = sweeps.study().runs()
    # Two hours from start to finish, of which the bill has ten seconds.
    found = FromRecords([ended(sweeps.record(plain, seconds=10.0))], "cpu").of(plain)
    assert found is not None
    assert found.seconds == 7200
    assert (found.kept, found.working) == (8 * 1000, 20 * 1000)


def test_runs_of_the_same_settings_come_before_others() -> None:
    (plain, *_) = sweeps.study().runs()
    far = plain.model_copy(
        update={"method": plain.method.model_copy(update={"hyperparameters": {"x": 1}})}
    )
    known = [ended(sweeps.record(plain)), ended(sweeps.record(far, seconds=14400.0))]
    records = FromRecords(known, "cpu")
    assert [Estimates(records).seconds(run) for run in (plain, far)] == [7200, 14400]


def test_runs_side_by_side_take_as_long_as_the_longest_lane() -> None:
    assert makespan([], [3.0, 2.0, 2.0], 1) == 7.0
    assert makespan([], [3.0, 2.0, 2.0], 2) == 4.0
    assert makespan([5.0], [3.0, 3.0], 2) == 6.0
    assert makespan([], [], 2) == 0.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def step(number: int) -> dict[str, Any]:
    return {"event": "step", "stage": "trained", "step": number, "of": 100, "loss": 1.0}


def test_the_time_left_follows_what_runs_tell() -> None:
    clock, runs = Clock(), sweeps.study(seeds=2).runs()
    left = TimeLeft(1, lambda _: None, clock)
    for run in runs:
        left.hear(run, {"event": "waits"})
    assert left.seconds() is None
    left.hear(runs[0], {"event": "begins"})
    clock.now = 30.0
    left.hear(runs[0], step(10))
    assert left.seconds() is None
    clock.now = 40.0
    left.hear(runs[0], step(65))
    # 55 of 110 steps took 10 s; what came before the first step does not slow the others.
    assert left._of_running(*left._running[runs[0].run_id]) == pytest.approx(45 * 10 / 55)
    clock.now = 50.0
    left.hear(runs[0], {"event": "end", "status": "done"})
    assert (left.ended, left.planned) == (1, 4)
    # All others take as long as the one that has ended.
    assert left.seconds() == 150.0


def test_what_is_expected_of_a_run_counts_until_it_tells() -> None:
    clock, runs = Clock(), sweeps.study().runs()
    left = TimeLeft(2, lambda run: 60.0 if run.method.label == "random" else 100.0, clock)
    for run in runs:
        left.hear(run, {"event": "waits"})
    assert left.seconds() == 100.0
    left.hear(runs[0], {"event": "begins"})
    clock.now = 70.0
    assert left.seconds() == 60.0
    left.hear(runs[0], {"event": "died", "reason": "killed"})
    assert left.seconds() == 60.0


def test_each_line_says_how_many_are_left() -> None:
    stream, runs = io.StringIO(), sweeps.study().runs()
    progress = StudyProgress(Console(file=stream, width=120), TimeLeft(1, lambda _: 300.0, Clock()))
    for run in runs:
        progress.hear(run, {"event": "waits"})
    for run in runs:
        progress.hear(run, {"event": "begins"})
        progress.hear(run, {"event": "end", "status": "done", "reason": ""})
    assert stream.getvalue().splitlines() == [
        "    done  mini harbour pretraining seed 0  (1 of 2; about 5 min left)",
        "    done  mini harbour random seed 0  (2 of 2)",
    ]


def shown(*things: Any) -> str:
    stream = io.StringIO()
    for thing in things:
        Console(file=stream, width=100).print(thing)
    return stream.getvalue()


def plan_of(study: Study) -> Plan:
    plain, random = study.runs()
    told = Estimate(3600.0, "step times", 2_000_000_000, 1000, 2000)
    return Plan(done=3, missing=[plain, random], estimates={plain.run_id: told}, notes=["less: no"])


def test_a_plan_says_what_is_missing_and_what_nobody_knows() -> None:
    study = sweeps.study()
    lines = plan_lines(plan_of(study), Settings(results=Path("r"), cache=Path("c")))
    assert lines == [
        "5 runs: 3 done, 2 missing",
        "time: about 60 min with --jobs 1; fine-tuning in full, which may end earlier",
        "work: 1.00 core-hours",
        "memory: 2.0 GB at most, for 1 at a time",
        "disk: 1 kB of weights to keep, 2 kB more for checkpoints meanwhile, in c",
        "without an estimate, and not in these sums: 1 runs",
        "less: no",
    ]
    text = shown(terminal(plan_block(study, plan_of(study))))
    assert [line.split() for line in text.splitlines() if "random" in line] == [
        ["random", "1", "-", "-", "-", "-"]
    ]


def test_a_plan_of_a_card_says_gpu_hours_and_memory_there() -> None:
    plan = plan_of(sweeps.study())
    (name, told), *_ = plan.estimates.items()
    plan.estimates[name] = replace(told, device_memory=7_000_000_000)
    settings = Settings(results=Path("r"), cache=Path("c"), device="cuda", threads=4)
    lines = plan_lines(plan, settings)
    assert "work: 1.00 GPU-hours" in lines
    assert "device memory: 7.0 GB at most, for 1 at a time" in lines


def test_memory_is_foretold_by_times_and_by_records() -> None:
    (plain, *_) = sweeps.study().runs()
    there = method_times(plain, device_memory_bytes=5)
    times = study_times([plain]).model_copy(update={"methods": (there,)})
    by_times = FromStepTimes(times, "cpu", "now").of(plain)
    known = sweeps.record(plain).model_copy(update={"memory_bytes": 7, "device_memory_bytes": 6})
    by_records = FromRecords([ended(known)], "cpu").of(plain)
    assert by_times is not None
    assert by_records is not None
    assert (by_times.memory, by_times.device_memory) == (300_000_000, 5)
    assert (by_records.memory, by_records.device_memory) == (7, 6)


@pytest.mark.slow
def test_what_a_plan_foretells_of_memory_is_what_a_record_measures(
    content: dict[str, Any], tmp_path: Path
) -> None:
    content["methods"] = ["pretraining", "dds"]
    study = resolve(Study.model_validate(content))
    settings = Settings(results=tmp_path / "results", cache=tmp_path / "cache")
    plan = plan_study(study, settings, lambda *_: None, lambda *_: None)
    run_study(study, settings, lambda *_: None, lambda *_: None)
    for record in load_records(settings.results):
        foretold = plan.estimates[record.run_id].memory
        assert foretold is not None
        assert record.memory_bytes == pytest.approx(foretold, rel=0.2)


def test_step_times_are_shown_with_their_rules() -> None:
    text = shown(*map(terminal, time_blocks(study_times(sweeps.study().runs()))))
    assert "2000" in text
    assert "1500-2500" in text
    assert "1.00-1.50" in text
    # 4 GFLOP in 2 s, where a product of matrices reaches 8 GFLOP/s.
    assert "25%" in text
    assert "main update" in text
    assert "one, cpu, threads: 1; commit c0ffee" in text


def test_quantities() -> None:
    assert [duration(seconds) for seconds in (5, 300, 9000)] == ["5 s", "5 min", "2.5 h"]
    assert [size(number) for number in (5e3, 5e6, 5e9)] == ["5 kB", "5 MB", "5.0 GB"]
