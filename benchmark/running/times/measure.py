"""Step times of runs, one process each, alone on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmark.data import Progress, prepare
from benchmark.methods.registry import resolve
from benchmark.running.times.process import StepperProcess, steppers
from benchmark.running.times.rounds import Timed, interleave, spread
from benchmark.running.times.summary import method_times, phases_of
from benchmark.running.worker import Job
from benchmark.study.environment import describe
from benchmark.study.step_times import Overheads, StudyTimes, step_key
from benchmark.study.study import PRETRAINING, MethodEntry, RunSpec, Study

PRODUCT_ROWS = {"cpu": 1024, "cuda": 8192}
PRODUCTS = 3

Heard = Callable[[str, int, int], None]
"""Hears of a measurement: what is done, how much of it, of how much."""


@dataclass(frozen=True)
class Bench:
    """Where to time, and how often.

    In each of the ``rounds``, a method makes ``steps`` steps of each phase that count.
    """

    cache: Path
    device: str = "cpu"
    threads: int = 1
    rounds: int = 9
    steps: int = 3


@dataclass(frozen=True)
class _Place:
    """A run, its process, and the seconds of what it does once."""

    run: RunSpec
    process: StepperProcess
    once: dict[str, float]


def runs_to_time(runs: Sequence[RunSpec]) -> list[RunSpec]:
    """The first of all runs whose steps do the same work."""
    first: dict[str, RunSpec] = {}
    for run in runs:
        first.setdefault(step_key(run), run)
    return list(first.values())


def measure(
    study: Study, runs: Sequence[RunSpec], bench: Bench, building: Progress, hear: Heard
) -> StudyTimes:
    """Time the steps of ``runs``, and of plain pretraining, in turn.

    ``building(what, rows)`` hears of token rows.

    Raises:
        UserError: the data cannot be prepared; a model cannot be built; a method fails.
    """
    jobs = jobs_of(_with_plain(study, runs), bench, building)
    with steppers(jobs, bench.cache / "logs", partial(hear, "loading")) as (processes, start):
        places = []
        for number, (job, process) in enumerate(zip(jobs, processes, strict=True)):
            hear("preparing", number, len(jobs))
            places.append(_Place(job.spec, process, process.call("begin")))
        return _timed(study, places, start, bench, hear)


def jobs_of(runs: Sequence[RunSpec], bench: Bench, building: Progress) -> list[Job]:
    """What a process is given to time each run, its token rows built.

    Raises:
        UserError: they cannot be.
    """
    data = {run.target_name: run for run in runs}
    folders = {
        name: prepare(run.data, run.target, bench.cache, building).folder
        for name, run in data.items()
    }
    return [
        Job(
            spec=run,
            prepared=folders[run.target_name],
            results=bench.cache,
            cache=bench.cache,
            device=bench.device,
            threads=bench.threads,
        )
        for run in runs
    ]


def _with_plain(study: Study, runs: Sequence[RunSpec]) -> list[RunSpec]:
    """For each model of the runs one of plain pretraining, then the others."""
    entries = [entry for entry in study.methods if entry.method == PRETRAINING]
    entry = entries[0] if entries else MethodEntry(method=PRETRAINING)
    alone = resolve(study.model_copy(update={"methods": (entry,), "tuned": None}))
    models = {run.model_name for run in runs}
    plain = runs_to_time([run for run in alone.runs() if run.model_name in models])
    known = {step_key(run) for run in plain}
    return [*plain, *(run for run in runs_to_time(runs) if step_key(run) not in known)]


def _timed(
    study: Study, places: list[_Place], start: float, bench: Bench, hear: Heard
) -> StudyTimes:
    """The rounds, and what they say."""
    size, first = PRODUCT_ROWS[bench.device], places[0].process

    def product() -> float:
        seconds = sorted(first.call("product", size=size, times=PRODUCTS))
        return float(2 * size**3 / seconds[PRODUCTS // 2])

    turns, products = interleave(
        [partial(place.process.call, "turn", steps=bench.steps) for place in places],
        product,
        bench.rounds,
        partial(hear, "timing"),
    )
    timed = [Timed(phases_of(p.run), own) for p, own in zip(places, turns, strict=True)]
    plain = {
        place.run.model_name: own.steps
        for place, own in zip(places, timed, strict=True)
        if place.run.method.method == PRETRAINING
    }
    return StudyTimes(
        study=study.study,
        reference=places[0].run.method.label,
        rounds=len(products),
        steps_a_turn=bench.steps,
        product_flops=spread(products),
        product_size=size,
        environment=describe(bench.device, bench.threads),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        methods=tuple(
            method_times(
                place.run,
                own,
                place.once,
                plain[place.run.model_name],
                _overheads(place.process, start),
                place.process.call("memory"),
            )
            for place, own in zip(places, timed, strict=True)
        ),
    )


def _overheads(process: StepperProcess, start: float) -> Overheads:
    return Overheads(start_seconds=start, **process.call("evaluations"), **process.call("saving"))
