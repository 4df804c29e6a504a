"""Step times of runs, one process each, alone on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmark.api import PRETRAINING
from benchmark.data import PreparedData, prepare
from benchmark.methods.registry import resolve
from benchmark.running.times.process import NotTimedError, StepperProcess, steppers
from benchmark.running.times.rounds import Timed, interleave, spread
from benchmark.running.times.summary import method_times, phases_of
from benchmark.running.worker import Job
from benchmark.study.environment import describe
from benchmark.study.step_times import Overheads, StudyTimes, step_key
from benchmark.study.study import MethodEntry, RunSpec, Study

PRODUCT_ROWS = {"cpu": 1024, "cuda": 8192}
PRODUCTS = 3

Heard = Callable[[str, int, int], None]
"""Hears of a measurement: what is done, how much of it, of how much."""


@dataclass(frozen=True)
class Bench:
    """How to time: where, how often, and how long a method may take to begin.

    In each of the ``rounds``, a method makes ``steps`` steps of each phase that count. Methods
    that fail, or that take more than ``patience`` seconds to prepare and warm up, are left out,
    and rounds end after ``limit`` seconds; with None, they may take any time, and none may fail.
    """

    cache: Path
    device: str = "cpu"
    threads: int = 1
    rounds: int = 9
    steps: int = 3
    patience: float | None = None
    limit: float | None = None


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
    study: Study,
    runs: Sequence[RunSpec],
    bench: Bench,
    building: Callable[[str, int], None],
    hear: Heard,
) -> tuple[StudyTimes, list[str]]:
    """Time the steps of ``runs``, and of plain pretraining, in turn; why any is left out.

    ``building(what, rows)`` hears of token rows.

    Raises:
        UserError: the data cannot be prepared; a model cannot be built; a method fails.
    """
    wanted = _with_plain(study, runs)
    data = {run.target_name: run for run in wanted}
    folders = {
        name: prepare(run.data, run.target, bench.cache, building) for name, run in data.items()
    }
    jobs = [_job(run, folders[run.target_name], bench) for run in wanted]
    with steppers(jobs, bench.cache / "logs", partial(hear, "loading")) as processes:
        places, left_out = _begun(jobs, processes, bench, hear)
        return _timed(study, places, bench, hear), left_out


def _with_plain(study: Study, runs: Sequence[RunSpec]) -> list[RunSpec]:
    """For each model of the runs one of plain pretraining, then the others."""
    entries = [entry for entry in study.methods if entry.method == PRETRAINING]
    entry = entries[0] if entries else MethodEntry(method=PRETRAINING)
    alone = resolve(study.model_copy(update={"methods": (entry,), "tuned": None}))
    models = {run.model_name for run in runs}
    plain = runs_to_time([run for run in alone.runs() if run.model_name in models])
    known = {step_key(run) for run in plain}
    return [*plain, *(run for run in runs_to_time(runs) if step_key(run) not in known)]


def _job(run: RunSpec, data: PreparedData, bench: Bench) -> Job:
    return Job(
        spec=run,
        prepared=data.folder,
        results=bench.cache,
        cache=bench.cache,
        device=bench.device,
        threads=bench.threads,
    )


def _begun(
    jobs: list[Job], processes: list[StepperProcess], bench: Bench, hear: Heard
) -> tuple[list[_Place], list[str]]:
    """The methods that are ready for rounds, and why others are not."""
    places, left_out = [], []
    for number, (job, process) in enumerate(zip(jobs, processes, strict=True)):
        hear("preparing", number, len(jobs))
        try:
            places.append(_Place(job.spec, process, process.call("begin", bench.patience)))
        except NotTimedError as error:
            if bench.patience is None or job.spec.method.method == PRETRAINING:
                raise
            left_out.append(str(error))
            process.end()
    return places, left_out


def _timer(limit: float | None) -> Callable[[], bool]:
    """Says whether so many seconds have passed since now."""
    begin = time.monotonic()
    return lambda: limit is not None and time.monotonic() - begin > limit


def _timed(study: Study, places: list[_Place], bench: Bench, hear: Heard) -> StudyTimes:
    """The rounds, and what they say."""
    size, first = PRODUCT_ROWS[bench.device], places[0].process

    def product() -> float:
        seconds = sorted(first.call("product", size=size, times=PRODUCTS))
        return float(2 * size**3 / seconds[PRODUCTS // 2])

    turns, products = interleave(
        [partial(place.process.call, "turn", within=None, steps=bench.steps) for place in places],
        product,
        bench.rounds,
        partial(hear, "timing"),
        _timer(bench.limit),
    )
    timed = [Timed(phases_of(p.run), own) for p, own in zip(places, turns, strict=True)]
    start = first.start_seconds
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
                Overheads(start_seconds=start, **place.process.call("overheads")),
                place.process.call("memory"),
            )
            for place, own in zip(places, timed, strict=True)
        ),
    )
