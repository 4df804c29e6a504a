"""How long a run will take, from what runs like it took."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable

from benchmark.study.records import RunSummary
from benchmark.study.study import RunSpec

Kind = tuple[str, str, str, int, int, int]


class StepTimes:
    """Seconds a step of each kind of run, the bill's fine-tuning and preparation spread over them.

    Runs are of one kind if method, model, row width, both batch sizes and the device's name are
    the same.
    """

    def __init__(self, ended: Iterable[tuple[RunSpec, RunSummary]], device: str) -> None:
        self._device = device
        seconds: dict[Kind, list[float]] = defaultdict(list)
        for run, record in ended:
            if record.status == "done":
                spent = record.stages[-1].cost.seconds / run.training.steps
                seconds[_kind(run, record.environment.device)].append(spent)
        self._medians = {kind: statistics.median(values) for kind, values in seconds.items()}

    def hours(self, run: RunSpec) -> float | None:
        """Estimated hours of a run; None if no run of its kind is known."""
        seconds = self._medians.get(_kind(run, self._device))
        return None if seconds is None else seconds * run.training.steps / 3600


def _kind(run: RunSpec, device: str) -> Kind:
    training, model = run.training, run.model.model_dump_json()
    width, batch, big_batch = run.data.width, training.batch, training.big_batch
    return run.method.method, model, device, width, batch, big_batch
