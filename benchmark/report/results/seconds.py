"""Seconds of training from step times, which do not depend on what else the machine did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from benchmark.study.records import RunRecord
from benchmark.study.stages import STAGES
from benchmark.study.step_times import StudyTimes, seconds_at

RUN = ["model", "target", "method", "seed"]


def untimed(records: Iterable[RunRecord], times: StudyTimes) -> tuple[str, ...]:
    """Labels of the methods with a run whose steps were not timed."""
    runs = (record.spec for record in records if record.stages)
    return tuple(dict.fromkeys(run.method.label for run in runs if times.find(run) is None))


def with_step_times(
    records: Iterable[RunRecord],
    times: StudyTimes,
    stages: pd.DataFrame,
    metrics: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both frames with the ``seconds`` of training by ``times``, which has all of the runs.

    Fine-tuning, whose steps are the same for every method, takes what its bill says.
    """
    courses: dict[tuple[Any, ...], tuple[tuple[int, float], ...]] = {}
    shifts: dict[tuple[Any, ...], float] = {}
    for record in records:
        found = times.find(record.spec)
        if found is None or not record.stages:
            continue
        spec, (trained, *_) = record.spec, record.stages
        run = (spec.model_name, spec.target_name, spec.method.label, spec.seed)
        courses[run] = found.course
        shifts[run] = seconds_at(found.course, trained.step) - trained.cost.seconds

    def seconds(run: tuple[Any, ...], stage: str, step: float, billed: float) -> float:
        if run not in courses:
            return billed
        return seconds_at(courses[run], step) if stage == STAGES[0] else billed + shifts[run]

    def timed(frame: pd.DataFrame) -> pd.DataFrame:
        runs = zip(*(frame[name] for name in RUN), strict=True)
        rows = zip(runs, frame["stage"], frame["step"], frame["seconds"], strict=True)
        return frame.assign(seconds=[seconds(*row) for row in rows])

    return timed(stages), timed(metrics)
