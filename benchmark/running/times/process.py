"""A stepper in a process of its own, called from here."""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.running.job_process import start_job_process
from benchmark.running.worker import Job

LOG = "step_times.log"


class NotTimedError(UserError):
    """A method that cannot be timed; ``reason`` says why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = reason


class TooSlowError(NotTimedError):
    """A method that did not answer within the time allowed."""


class StepperProcess:
    """Answers calls of `benchmark.running.times.stepper.Stepper`, one at a time.

    It must be closed.
    """

    def __init__(self, job: Job, log: Path) -> None:
        self.name, self.log = job.spec.method.label, log
        self._job: int | None = None
        self._process = start_job_process("benchmark.running.times.stepper", job, log)
        self._write(job.as_json())

    def begin(self) -> None:
        """Until the process of its job has begun."""
        self._job = self._answer(None)

    def take(self, job: Job) -> None:
        """Another job, in a process of its own that need not import anything again."""
        self._end_job()
        self.name = job.spec.method.label
        self._write(job.as_json())
        self.begin()

    def call(self, what: str, within: float | None = None, **arguments: Any) -> Any:
        """The answer to one call.

        Raises:
            NotTimedError: the method failed, or did not answer ``within`` so many seconds.
        """
        self._write(json.dumps({"call": what, **arguments}))
        return self._answer(within)

    def close(self) -> None:
        """End the processes, whatever they do."""
        self._end_job()
        with self._process:
            self._process.kill()

    def _end_job(self) -> None:
        """An answer that came too late is passed over."""
        assert self._process.stdout is not None
        if self._job is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._job, signal.SIGKILL)
        while (line := self._process.stdout.readline()) and "ended" not in json.loads(line):
            pass
        self._job = None

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died(self._process.wait()) from None

    def _answer(self, within: float | None) -> Any:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(within):
                raise TooSlowError(self.name, f"takes longer than {within:.0f} s to begin")
        answer = json.loads(self._process.stdout.readline() or "{}")
        if "error" in answer:
            raise NotTimedError(self.name, f"cannot be timed: {answer['error']}")
        if "value" not in answer:
            self._job = None
            raise self._died(answer["ended"] if answer else self._process.wait())
        return answer["value"]

    def _died(self, code: int) -> NotTimedError:
        why = f"cannot be timed: its process ended with code {code}; details in {self.log}"
        return NotTimedError(self.name, why)


@contextmanager
def steppers(
    jobs: Sequence[Job], logs: Path, hear: Callable[[int, int], None]
) -> Iterator[tuple[list[StepperProcess], float]]:
    """A process for each job, ended at the end; ``hear(ready, of)`` hears of those that are ready.

    The first loads alone: beside them the seconds until its model and rows were loaded, which are
    those of a run.
    """
    made: list[StepperProcess] = []
    try:
        begin = time.perf_counter()
        first = 0.0
        for number, job in enumerate(jobs):
            hear(0, len(jobs))
            made.append(StepperProcess(job, logs / LOG))
            if number == 0:
                _load(made[0])
                first = time.perf_counter() - begin
        for number, process in enumerate(made[1:], start=1):
            hear(number, len(jobs))
            _load(process)
        yield made, first
    finally:
        for process in made:
            process.close()


def _load(process: StepperProcess) -> None:
    process.begin()
    process.call("load")
