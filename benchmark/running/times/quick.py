"""Step times for a plan: one run after another makes a few steps, all within a time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from benchmark.data import Progress
from benchmark.methods.registry import method_of
from benchmark.running.times.made_up import on_made_up_rows
from benchmark.running.times.measure import Bench, Heard, jobs_of
from benchmark.running.times.process import LOG, NotTimedError, StepperProcess, TooSlowError
from benchmark.running.times.rounds import Timed
from benchmark.running.times.summary import method_times, phases_of
from benchmark.study.step_times import MethodTimes, Overheads
from benchmark.study.study import RunSpec

SECONDS = 45.0
"""Of all runs together, after token rows are built and a process has begun."""

LARGEST_SHARE = 1 / 3
ROUNDS, STEPS = 3, 2
UNLIKE = "preparing depends on rows that are not built yet (adaptbench data build)"
EVALUATED = 128
"""Rows of a measurement, at most."""


@dataclass
class Quick:
    """What was found: times by run id; labels there was no time for; labels by why they failed.

    ``made_up``: targets whose runs were timed on made-up rows.
    """

    times: dict[str, MethodTimes] = field(default_factory=dict)
    made_up: list[str] = field(default_factory=list)
    too_slow: list[str] = field(default_factory=list)
    failed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def measure_quickly(
    runs: Sequence[RunSpec], bench: Bench, building: Progress, hear: Heard
) -> Quick:
    """Time a few steps of each run, for `SECONDS` together: the cheapest to begin come first.

    Runs whose rows take long to build make their steps on others; what they prepare is not timed.

    Each may take its part of the time that is left, or a third; what it leaves is the others'.
    ``building(what, rows)`` hears of token rows.

    Raises:
        UserError: the data cannot be prepared, or no run can be timed.
    """
    runs = _cheapest_first(runs)
    stand_ins = {run.run_id: other for run in runs if (other := on_made_up_rows(run)) is not None}
    jobs = jobs_of([stand_ins.get(run.run_id, run) for run in runs], bench, building)
    found, evaluations = Quick(), dict[str, Mapping[str, Any]]()
    found.made_up += dict.fromkeys(run.target_name for run in runs if run.run_id in stand_ins)
    begin = time.monotonic()
    with closing(StepperProcess(jobs[0], bench.cache / "logs" / LOG)) as process:
        process.begin()
        begun = time.monotonic()
        for number, (run, job) in enumerate(zip(runs, jobs, strict=True)):
            hear("timing", number, len(jobs))
            label = run.method.label
            if run.run_id in stand_ins and _prepares(run):
                found.failed[UNLIKE].append(label)
                continue
            left = begun + SECONDS - time.monotonic()
            share = left * max(LARGEST_SHARE, 1 / (len(jobs) - number))
            try:
                if left < 0:
                    raise TooSlowError(label, "no time is left")
                if number:
                    process.take(job)
                turns = _Turns(process, share)
                found.times[run.run_id] = turns.of(run, evaluations, begun - begin)
            except TooSlowError:
                found.too_slow.append(label)
            except NotTimedError as error:
                found.failed[error.reason].append(label)
    if found.failed and not found.times and not found.too_slow:
        reason, labels = next(iter(found.failed.items()))
        raise NotTimedError(", ".join(labels), reason)
    return found


def _cheapest_first(runs: Sequence[RunSpec]) -> list[RunSpec]:
    """Of methods that prepare nothing the first entry of each, then the others, then the rest."""
    seen: set[tuple[str, str]] = set()
    rank: dict[str, tuple[bool, bool]] = {}
    for run in runs:
        name = run.model_name, run.method.method
        rank[run.run_id] = _prepares(run), name in seen
        seen.add(name)
    return sorted(runs, key=lambda run: rank[run.run_id])


def _prepares(run: RunSpec) -> bool:
    from benchmark.api import Baseline  # loads torch, which `adaptbench run` can do without

    return method_of(run.method).prepare is not Baseline.prepare


class _Turns:
    """The turns of a process's job, which may take ``seconds``."""

    def __init__(self, process: StepperProcess, seconds: float) -> None:
        self._process, self._until = process, time.monotonic() + seconds

    def of(
        self, run: RunSpec, evaluations: dict[str, Mapping[str, Any]], start_seconds: float
    ) -> MethodTimes:
        """What they say; ``evaluations`` by model, once for all of its runs."""
        left = self._left()
        self._call("load")
        start_seconds += left - self._left()
        once = self._call("begin")
        if run.model_name not in evaluations:
            evaluations[run.model_name] = self._call("evaluations", most=EVALUATED)
        saving = self._call("saving")
        turns, last = list[Any](), 0.0
        while not turns or (len(turns) < ROUNDS and last < self._left()):
            left = self._left()
            turns.append(self._call("turn", number=len(turns), steps=STEPS))
            last = left - self._left()
        timed = Timed(phases_of(run), turns)
        overheads = Overheads(start_seconds=start_seconds, **evaluations[run.model_name], **saving)
        # A plan asks for no ratio to plain steps.
        return method_times(run, timed, once, timed.steps, overheads, self._call("memory"))

    def _call(self, what: str, **arguments: Any) -> Any:
        return self._process.call(what, max(0.0, self._left()), **arguments)

    def _left(self) -> float:
        return self._until - time.monotonic()
