"""What is left of a study, and what it will take."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from benchmark.data import Progress
from benchmark.running.estimate import (
    Estimate,
    Estimates,
    FromRecords,
    FromStepTimes,
    from_times,
    makespan,
)
from benchmark.running.local import Settings, is_selected
from benchmark.running.times.measure import Bench, Heard
from benchmark.running.times.quick import SECONDS, Quick, measure_quickly
from benchmark.study.records import RunSummary, read_summary
from benchmark.study.step_times import MethodTimes, read_times
from benchmark.study.study import RunSpec, Study


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


def plan_study(study: Study, settings: Settings, building: Progress, hear: Heard) -> Plan:
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
    plan.estimates, plan.notes = estimate_all(plan.missing, sources, bench, building, hear)
    return plan


def estimate_all(
    runs: Sequence[RunSpec], known: Estimates, bench: Bench, building: Progress, hear: Heard
) -> tuple[dict[str, Estimate], list[str]]:
    """What each run will take, by its id, and why some have no estimate.

    Of methods that the ``known`` sources do not tell of, a few steps are timed.
    """
    found = {run.run_id: estimate for run in runs if (estimate := known.of(run)) is not None}
    unknown = [run for run in runs if run.run_id not in found]
    if not unknown:
        return found, []
    first: dict[tuple[str, str], RunSpec] = {}
    for run in unknown:
        first.setdefault((run.model_name, run.method.label), run)
    quick = measure_quickly(list(first.values()), bench, building, hear)
    timed = [(run, quick.times[run.run_id]) for run in first.values() if run.run_id in quick.times]
    found |= {run.run_id: guess for run in unknown if (guess := _guess(run, timed)) is not None}
    return found, _notes(quick, [run.method.label for run in unknown if run.run_id not in found])


def _guess(run: RunSpec, timed: Iterable[tuple[RunSpec, MethodTimes]]) -> Estimate | None:
    """By steps of runs of its label, else by those of its method at other settings."""
    alike = [
        (other.method.label != run.method.label, other.method.label, times)
        for other, times in timed
        if (other.model_name, other.method.method) == (run.model_name, run.method.method)
    ]
    if not alike:
        return None
    is_other, label, times = min(alike, key=itemgetter(0))
    return from_times(run, times, f"steps {f'of {label} ' if is_other else ''}timed just now")


def _notes(quick: Quick, without: Sequence[str]) -> list[str]:
    """Why these methods are ``without`` an estimate."""
    notes = [f"{', '.join(labels)}: {reason}" for reason, labels in quick.failed.items()]
    if slow := [label for label in quick.too_slow if label in without]:
        notes.append(
            f"not timed within {SECONDS:.0f} s: {', '.join(slow)}; `adaptbench time` takes the "
            "time that they need"
        )
    if quick.made_up:
        notes.append(
            f"targets {', '.join(quick.made_up)}: steps were timed on made-up rows, as sources are "
            "a hub's, are not there or have over 1 GB"
        )
    return notes


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
