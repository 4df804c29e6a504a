"""What is left of a study, and what it will take."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.running.estimate import (
    Estimate,
    Estimates,
    FromRecords,
    FromStepTimes,
    makespan,
)
from benchmark.running.local import Settings, is_selected
from benchmark.running.times.measure import Bench, Heard, measure
from benchmark.study.records import RunSummary, read_summary
from benchmark.study.step_times import read_times
from benchmark.study.study import RunSpec, Study

SECONDS_TO_BEGIN, LEAST_TO_BEGIN = 45.0, 10.0
SECONDS_OF_ROUNDS = 15.0
QUICK_ROUNDS, QUICK_STEPS = 3, 2


@dataclass
class Plan:
    """A study's runs on this machine: those that have a record, and what the others will take.

    ``estimates`` are by run id; ``notes`` say why there is none for some.
    """

    done: int = 0
    failed: int = 0
    missing: list[RunSpec] = field(default_factory=list)
    estimates: dict[str, Estimate] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def seconds(self, lanes: int) -> float:
        """Until all runs that have an estimate have ended, ``lanes`` of them side by side."""
        known = [self.estimates[run.run_id] for run in self.missing if run.run_id in self.estimates]
        return makespan([], [estimate.seconds for estimate in known], lanes)


def known_estimates(
    results: Path, device: str, ended: Iterable[tuple[RunSpec, RunSummary]]
) -> Estimates:
    """What files tell of runs on a device: a study's step times, else its ``ended`` runs."""
    times = read_times(results)
    measured = "" if times is None else f"step times measured {times.measured[:10]}"
    return Estimates(FromStepTimes(times, device, measured), FromRecords(ended, device))


def ended_runs(study: Study, results: Path) -> list[tuple[RunSpec, RunSummary]]:
    """The runs of a study that have a record."""
    found = ((run, read_summary(results, run.run_id)) for run in study.runs())
    return [(run, record) for run, record in found if record is not None]


def plan_study(
    study: Study, settings: Settings, building: Callable[[str, int], None], hear: Heard
) -> Plan:
    """What `run_study` would do; runs of which no file tells have a few of their steps timed.

    ``building(what, rows)`` hears of token rows, ``hear(what, done, of)`` of steps.

    Raises:
        UserError: the data cannot be prepared.
    """
    plan = Plan()
    ended = ended_runs(study, settings.results)
    records = {run.run_id: record for run, record in ended}
    for run in study.runs():
        if is_selected(run, settings):
            record = records.get(run.run_id)
            if record is None or (record.status == "failed" and settings.retry_failed):
                plan.missing.append(run)
            elif record.status == "failed":
                plan.failed += 1
            else:
                plan.done += 1
    bench = Bench(settings.cache, settings.device, settings.threads)
    sources = known_estimates(settings.results, settings.device, ended)
    plan.estimates, plan.notes = estimate_all(study, plan.missing, sources, bench, building, hear)
    return plan


def estimate_all(
    study: Study,
    runs: Sequence[RunSpec],
    known: Estimates,
    bench: Bench,
    building: Callable[[str, int], None],
    hear: Heard,
) -> tuple[dict[str, Estimate], list[str]]:
    """What each run will take, by its id, and why some have no estimate.

    Methods that the ``known`` sources do not tell of have a few steps timed, the first run of
    each for all.
    """
    found = {run.run_id: known.of(run) for run in runs}
    unknown = [run for run in runs if found[run.run_id] is None]
    notes: list[str] = []
    if unknown:
        times, notes = _timed_now(study, unknown, bench, building, hear)
        found |= {run.run_id: times.of(run) for run in unknown}
    return {name: estimate for name, estimate in found.items() if estimate is not None}, notes


def _timed_now(
    study: Study,
    runs: Sequence[RunSpec],
    bench: Bench,
    building: Callable[[str, int], None],
    hear: Heard,
) -> tuple[FromStepTimes, list[str]]:
    first: dict[tuple[str, str], RunSpec] = {}
    for run in runs:
        first.setdefault((run.model_name, run.method.label), run)
    quick = replace(
        bench,
        rounds=QUICK_ROUNDS,
        steps=QUICK_STEPS,
        patience=max(LEAST_TO_BEGIN, SECONDS_TO_BEGIN / (len(first) + 1)),
        limit=SECONDS_OF_ROUNDS,
    )
    times, notes = measure(study, list(first.values()), quick, building, hear)
    return FromStepTimes(times, bench.device, "steps timed just now", alike=True), notes


def lanes(jobs: int, threads: int, device: str) -> int:
    """Runs that work side by side: no more than there are cores, or one on a device."""
    if device == "cuda":
        return 1
    return max(1, min(jobs, (os.cpu_count() or 1) // threads))


def by_method(plan: Plan) -> dict[tuple[str, str], list[RunSpec]]:
    """The missing runs of each method on each model."""
    found: dict[tuple[str, str], list[RunSpec]] = defaultdict(list)
    for run in plan.missing:
        found[run.model_name, run.method.label].append(run)
    return dict(found)
