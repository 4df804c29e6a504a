"""The time that is left of all runs of a study, from their events."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmark.running.estimate import makespan
from benchmark.study.study import RunSpec


@dataclass
class _Running:
    """A run at work: when it began, how far it was when first heard of, and how far it is."""

    begin: float
    first: tuple[float, float] | None = None
    share: float = 0.0

    def hear(self, share: float, now: float) -> None:
        self.share = share
        if self.first is None:
            self.first = now, share

    def left(self, now: float) -> float | None:
        """Seconds at the speed so far; None while that is not known."""
        if self.first is None or self.share <= self.first[1]:
            return None
        since, share = self.first
        return (1 - self.share) * (now - since) / (self.share - share)


class TimeLeft:
    """Counts runs and the time until the last ends, ``jobs`` of them side by side.

    A run that has not told its speed takes as long as one of the same method did, else what is
    ``expected`` of it, else what others took.
    """

    def __init__(
        self,
        jobs: int,
        expected: Callable[[RunSpec], float | None],
        clock: Callable[[], float],
    ) -> None:
        self.planned = self.ended = 0
        self._jobs, self._expected, self._clock = jobs, expected, clock
        self._waiting: dict[str, RunSpec] = {}
        self._running: dict[str, tuple[RunSpec, _Running]] = {}
        self._took: dict[tuple[str, str], list[float]] = {}

    def hear(self, run: RunSpec, event: dict[str, Any]) -> None:
        """Follow one event of a run."""
        now, key = self._clock(), run.run_id
        if event["event"] == "waits":
            self.planned += 1
            self._waiting[key] = run
        elif event["event"] == "begins":
            self._running[key] = self._waiting.pop(key, run), _Running(now)
        elif event["event"] == "step" and key in self._running:
            self._running[key][1].hear(_share(run, event), now)
        elif key in self._running:
            self.ended += 1
            began = self._running.pop(key)[1].begin
            if event["event"] == "end":
                self._took.setdefault(_kind(run), []).append(now - began)

    def seconds(self) -> float | None:
        """Estimated seconds until all runs have ended; None while nothing tells."""
        busy = [self._of_running(run, at_work) for run, at_work in self._running.values()]
        waiting = [self._of_waiting(run) for run in self._waiting.values()]
        known = [seconds for seconds in (*busy, *waiting) if seconds is not None]
        if len(known) < len(busy) + len(waiting):
            return None
        return makespan(known[: len(busy)], known[len(busy) :], self._jobs)

    def _of_running(self, run: RunSpec, at_work: _Running) -> float | None:
        now = self._clock()
        left = at_work.left(now)
        if left is not None:
            return left
        whole = self._of_waiting(run)
        return None if whole is None else max(0.0, whole - (now - at_work.begin))

    def _of_waiting(self, run: RunSpec) -> float | None:
        if _kind(run) in self._took:
            return statistics.median(self._took[_kind(run)])
        expected = self._expected(run)
        others = [seconds for took in self._took.values() for seconds in took]
        return statistics.mean(others) if expected is None and others else expected


def _kind(run: RunSpec) -> tuple[str, str]:
    return run.model_name, run.method.label


def _share(run: RunSpec, event: dict[str, Any]) -> float:
    """How much of a run's steps is done, those of its fine-tuning counted alike."""
    before = 0 if event["stage"] == "trained" else run.training.steps
    return float(before + event["step"]) / (run.training.steps + run.fine_tuning.steps)
