"""What a run will take, from step times or from what runs like it took."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from benchmark.core.parts import MAIN_UPDATE
from benchmark.models.protocol import PassConfig
from benchmark.study.records import RunSummary
from benchmark.study.step_times import MethodTimes, StudyTimes
from benchmark.study.study import RunSpec

FLOAT32 = 4


@dataclass(frozen=True)
class Estimate:
    """What a run will take, and what tells: ``seconds`` to its end, fine-tuning in full.

    Bytes: ``memory`` that its process holds at most and ``device_memory`` on the device (None: not
    known, or it is the CPU), ``kept`` on disk after it, ``working`` on disk besides while it runs.
    """

    seconds: float
    source: str
    memory: int | None
    kept: int
    working: int
    device_memory: int | None = None


class Source(Protocol):
    """Something that tells what a run will take."""

    def of(self, run: RunSpec) -> Estimate | None:
        """The estimate, or None if it knows no run like this."""
        ...


class Estimates:
    """Several sources, of which the first that knows a run tells."""

    def __init__(self, *sources: Source) -> None:
        self.sources = sources

    def of(self, run: RunSpec) -> Estimate | None:
        """The estimate, or None if no source knows a run like this."""
        found = (source.of(run) for source in self.sources)
        return next((estimate for estimate in found if estimate is not None), None)

    def seconds(self, run: RunSpec) -> float | None:
        """The time of the estimate."""
        estimate = self.of(run)
        return None if estimate is None else estimate.seconds


class FromStepTimes:
    """From a measurement of step times on a device of the same name."""

    def __init__(self, times: StudyTimes | None, device: str, source: str) -> None:
        self._times = times if times and times.environment.device == device else None
        self._source = source

    def of(self, run: RunSpec) -> Estimate | None:
        found = None if self._times is None else self._times.find(run)
        return None if found is None else from_times(run, found, self._source)


def from_times(run: RunSpec, times: MethodTimes, source: str) -> Estimate:
    """What a run will take whose steps take as long as these."""
    return Estimate(
        seconds=run_seconds(run, times),
        source=source,
        memory=times.memory_bytes,
        kept=2 * times.overheads.weights_bytes,
        working=times.overheads.checkpoint_bytes,
        device_memory=times.device_memory_bytes,
    )


def run_seconds(run: RunSpec, times: MethodTimes) -> float:
    """Seconds of a run from its process's start to its record, fine-tuning in full."""
    training, tuning, overheads = run.training, run.fine_tuning, times.overheads
    evaluations = math.ceil(training.steps / training.evaluate_every)
    evaluations += math.ceil(tuning.steps / tuning.evaluate_every)
    # At the end of both stages it is measured again; prepared and tuned models are saved too.
    return (
        overheads.start_seconds
        + times.course[-1][1]
        + tuning.steps * times.parts[MAIN_UPDATE]
        + (evaluations + 2) * (overheads.evaluation_seconds + overheads.checkpoint_seconds)
        + 2 * overheads.test_seconds
    )


Kind = tuple[str, ...]


class FromRecords:
    """From runs that have ended, on a device of the same name: their time over their steps.

    Of the same kind are runs of one method, model, row width and both batch sizes; those with the
    same hyper-parameters come first.
    """

    def __init__(self, ended: Iterable[tuple[RunSpec, RunSummary]], device: str) -> None:
        seconds: dict[Kind, list[float]] = defaultdict(list)
        self._memory, self._device_memory = dict[Kind, int](), dict[Kind, int]()
        self._parameters: dict[str, int] = {}
        for run, record in ended:
            if record.status == "done" and record.environment.device == device:
                for kind in _kinds(run):
                    seconds[kind].append(_wall_seconds(record) / run.training.steps)
                    _raise_to(self._memory, kind, record.memory_bytes)
                    _raise_to(self._device_memory, kind, record.device_memory_bytes)
                self._parameters[run.model.model_dump_json()] = record.parameters
        self._medians = {kind: statistics.median(values) for kind, values in seconds.items()}

    def of(self, run: RunSpec) -> Estimate | None:
        found = (self._medians[kind] for kind in _kinds(run) if kind in self._medians)
        seconds = next(found, None)
        if seconds is None:
            return None
        weights = FLOAT32 * self._parameters[run.model.model_dump_json()]
        return Estimate(
            seconds=seconds * run.training.steps,
            source="records of such runs",
            memory=_first(self._memory, run),
            kept=2 * weights,
            # Weights, two moments, the weights as trained and the best so far.
            working=5 * weights,
            device_memory=_first(self._device_memory, run),
        )


def _raise_to(most: dict[Kind, int], kind: Kind, found: int | None) -> None:
    if found is not None:
        most[kind] = max(most.get(kind, 0), found)


def _first(by_kind: dict[Kind, int], run: RunSpec) -> int | None:
    return next((by_kind[kind] for kind in _kinds(run) if kind in by_kind), None)


def _wall_seconds(record: RunSummary) -> float:
    """Of a run that was resumed, records know the last process alone; its bill has all but
    evaluations."""
    begin, end = map(datetime.fromisoformat, (record.started, record.finished))
    return max(record.stages[-1].cost.seconds, (end - begin).total_seconds())


def _kinds(run: RunSpec) -> tuple[Kind, Kind]:
    training, data = run.training, run.data
    passes = training.model_dump_json(include=set(PassConfig.model_fields))
    sizes = map(str, (data.width, training.batch, training.big_batch, passes))
    kind = (run.method.method, run.model.model_dump_json(), *sizes)
    return (*kind, run.method.model_dump_json(exclude={"label"})), kind


def makespan(busy: Sequence[float], waiting: Iterable[float], lanes: int) -> float:
    """Seconds until all is done: ``busy`` lanes are free after so long, ``waiting`` follows."""
    free = sorted([*busy, *[0.0] * (lanes - len(busy))])
    for seconds in waiting:
        free = sorted([free[0] + seconds, *free[1:]])
    return max(free, default=0.0)
