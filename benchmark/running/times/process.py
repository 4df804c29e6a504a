"""A stepper in a process of its own, called from here."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.running.worker import Job
from benchmark.running.worker_process import UTF_8, fixed_threads


class NotTimedError(UserError):
    """A method that cannot be timed, or not within the time allowed; says why."""


class StepperProcess:
    """Answers calls of `benchmark.running.times.stepper.Stepper`, one at a time.

    It must be ended. ``start_seconds`` passed until its model and rows were loaded.
    """

    def __init__(self, job: Job, log: Path) -> None:
        self.name, self.log = job.spec.method.label, log
        self.start_seconds = 0.0
        self._begin = time.perf_counter()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "benchmark.running.times.stepper"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                start_new_session=True,
                env={**os.environ, **fixed_threads(job.threads), **UTF_8},
            )
        self._write(job.as_json())

    def wait(self) -> None:
        """Until it is ready for calls.

        Raises:
            NotTimedError: the run cannot be set up.
        """
        self._answer(None)
        self.start_seconds = time.perf_counter() - self._begin

    def call(self, what: str, within: float | None = None, **arguments: Any) -> Any:
        """The answer to one call.

        Raises:
            NotTimedError: the method failed, or did not answer ``within`` so many seconds.
        """
        self._write(json.dumps({"call": what, **arguments}))
        return self._answer(within)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        with self._process:
            pass

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def _answer(self, within: float | None) -> Any:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(within):
                raise NotTimedError(f"{self.name}: takes longer than {within:.0f} s to begin")
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        answer = json.loads(line)
        if "error" in answer:
            raise NotTimedError(f"{self.name}: cannot be timed: {answer['error']}")
        return answer["value"]

    def _died(self) -> NotTimedError:
        return NotTimedError(
            f"{self.name}: cannot be timed: its process ended with code "
            f"{self._process.wait()}; details in {self.log}"
        )


@contextmanager
def steppers(
    jobs: Sequence[Job], logs: Path, hear: Callable[[int, int], None]
) -> Iterator[list[StepperProcess]]:
    """A process for each job, ended at the end; ``hear(ready, of)`` hears of those that are ready.

    The first loads alone, so that its ``start_seconds`` are those of a run.
    """
    made: list[StepperProcess] = []
    try:
        for number, job in enumerate(jobs):
            hear(0, len(jobs))
            made.append(StepperProcess(job, logs / "step_times.log"))
            if number == 0:
                made[0].wait()
        for number, process in enumerate(made[1:], start=1):
            hear(number, len(jobs))
            process.wait()
        yield made
    finally:
        for process in made:
            process.end()
