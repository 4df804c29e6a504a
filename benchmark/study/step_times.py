"""Step times of a study's methods, measured apart from its runs: ``step_times.json``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import Field

from benchmark.core.config_file import load_json
from benchmark.core.files import write_atomically
from benchmark.core.frozen import Frozen
from benchmark.models.protocol import PassConfig
from benchmark.study.records import Environment
from benchmark.study.study import RunSpec

FILE = "step_times.json"
PREPARATION = "preparation"
"""Among what a run does once, that which precedes its first step."""

OTHER = "other"
"""What a step does beside the parts that have a name."""


class Spread(Frozen):
    """The quartiles of a figure over the rounds of a measurement."""

    low: float
    """First quartile."""
    median: float
    """Median."""
    high: float
    """Third quartile."""


class PhaseTimes(Frozen):
    """Steps of one kind."""

    steps: int
    """Steps of the run that are of this phase."""
    seconds: Spread
    """Seconds a step."""
    parts: dict[str, float]
    """Seconds a step by part, which add up to the median."""
    flops: float
    """FLOPs a step, by the meter."""


class Overheads(Frozen):
    """What a run takes besides its steps, and what it leaves."""

    start_seconds: float
    """From the start of a process to its first step, model and rows loaded."""
    evaluation_seconds: float
    """One measurement on valid and on held-out generic rows."""
    test_seconds: float
    """One measurement on test."""
    checkpoint_seconds: float
    """Writing one checkpoint."""
    checkpoint_bytes: int
    """Size of a checkpoint late in the run, which is removed at its end."""
    weights_bytes: int
    """Size of the main model's weights, which are kept twice: as trained and fine-tuned."""


class MethodTimes(Frozen):
    """Times of one method on one model."""

    model: str
    """What the study calls the model."""
    method: str
    """Label of the method."""
    run_id: str
    """The run whose first steps were timed."""
    key: str
    """Content hash of what decides what a step costs."""
    seconds: Spread
    """Seconds a step: the mean over the steps of a run, without what is done once."""
    ratio: Spread
    """The same over that of a plain step of the same model, in the same round."""
    parts: dict[str, float]
    """Seconds a step by part, which add up to the median."""
    flops: float
    """FLOPs a step: the mean over the steps of a run, without what is done once."""
    tokens: int | None = Field(default=None, exclude_if=lambda found: found is None)
    """Cells of the rows that the main model is trained on in a step; None: not noted."""
    once: dict[str, float]
    """Seconds of what is done once in a run: ``preparation``, and phases of a single step."""
    phases: dict[str, PhaseTimes]
    """Every other phase, by the method's name for it."""
    course: tuple[tuple[int, float], ...]
    """(step, seconds from the start of the preparation to its end), in order."""
    memory_bytes: int
    """Most that the process held in memory."""
    device_memory_bytes: int | None = None
    """Most that it held on the device; None: the device is the CPU."""
    overheads: Overheads
    """What a run takes besides its steps."""


class StudyTimes(Frozen):
    """Step times of a study: every method in turn, round by round, alone on the machine."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    study: str
    """Name of the study."""
    reference: str
    """Label of the method whose steps are plain ones."""
    rounds: int
    """Rounds: in each, every method makes a few steps of each phase."""
    steps_a_turn: int
    """Steps of each phase in a round that count; one before them, the warm-up, does not."""
    product_flops: Spread
    """FLOPs a second of a product of two square float32 matrices, in the same rounds."""
    product_size: int
    """Rows of these matrices."""
    environment: Environment
    """Where and with what it was measured."""
    measured: str
    """When the measurement ended, in UTC."""
    methods: tuple[MethodTimes, ...] = Field(min_length=1)
    """Each method on each model."""

    def find(self, run: RunSpec) -> MethodTimes | None:
        """The times of runs whose steps do the same work, or None."""
        key = step_key(run)
        return next((times for times in self.methods if times.key == key), None)


def step_key(run: RunSpec) -> str:
    """Content hash of what decides what the steps of a run cost: not seed, target or rates."""
    training, data = run.training, run.data
    content = {
        "model": run.model.model_dump(mode="json"),
        "method": run.method.model_dump(mode="json", exclude={"label"}),
        "training": [training.steps, training.batch, training.big_batch],
        **training.model_dump(include=set(PassConfig.model_fields)),
        "rows": [data.tokenizer, data.width],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def seconds_at(course: Iterable[tuple[int, float]], step: float) -> float:
    """Seconds of training until the end of ``step``, by the straight line between two points."""
    points = list(course)
    for (before, low), (after, high) in pairwise(points):
        if step <= after:
            return low + (high - low) * (step - before) / (after - before)
    return points[-1][1]


def write_times(results: Path, times: StudyTimes) -> Path:
    """Publish a measurement in a study's results folder; the file."""
    write_atomically(results / FILE, times.model_dump_json(indent=1) + "\n")
    return results / FILE


def read_times(results: Path) -> StudyTimes | None:
    """The study's step times, or None if there are none.

    Raises:
        UserError: the file is not one of step times.
    """
    file = results / FILE
    return load_json(file, StudyTimes, "step times") if file.exists() else None
