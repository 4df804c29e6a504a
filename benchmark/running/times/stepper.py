"""One run, a few steps at a time: ``python -m benchmark.running.times.stepper``.

A line on standard input is a job, answered by the number of a process that is forked for it. Each
further one is a call of a `Stepper`, ``load`` first: ``{"call": "turn", "number": 0, "steps": 3}``.
It is answered by a line: ``{"value": ...}``, or ``{"error": ...}``, the reason in one line. When
the process of the job has been killed, a line says so, and another job may come.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import torch

from benchmark.core.errors import UserError
from benchmark.core.parts import PartTimes
from benchmark.data import RowView, open_prepared
from benchmark.methods.registry import methods, planned_method
from benchmark.models.checkpoint import model_state
from benchmark.models.evaluation import mean_token_loss
from benchmark.running.memory import peak_device_memory, peak_memory
from benchmark.running.times.phases import recurring, single, steps_by_phase
from benchmark.running.worker import Job
from benchmark.study.step_times import PREPARATION
from benchmark.training.hooks import DivergedError, Hooks
from benchmark.training.loop import Trainer
from benchmark.training.start import initial_model, set_up_torch

WARM_UP = 2
"""Steps of a phase before the first round; FLOPs are counted on the first."""


class Stepper:
    """Makes steps of a run in any order, at a learning rate of 0: the work is that of real ones.

    ``clock`` gives seconds, after all that was asked of the device is done.
    """

    def __init__(self, trainer: Trainer, clock: Callable[[], float]) -> None:
        self.trainer, self.clock = trainer, clock
        self._steps = steps_by_phase(trainer.method.hyperparameters, trainer.spec.training.steps)

    def begin(self) -> dict[str, float]:
        """Prepare the method and warm every phase up: seconds of what a run does once."""
        begin = self.clock()
        self.trainer.prepare()
        once = {PREPARATION: self.clock() - begin}
        for phase, steps in self._steps.items():
            if phase in single(self._steps):
                once[phase] = self._step(steps[0])["seconds"]
            else:
                for number in range(WARM_UP):
                    self._step(steps[number % len(steps)])
        return once

    def turn(self, number: int, steps: int) -> dict[str, list[dict[str, Any]]]:
        """Some steps of each phase that recurs, one before them not counted.

        Of each its ``seconds``, the ``parts`` of them and its ``flops``.
        """
        taken = {}
        for phase, found in recurring(self._steps).items():
            first = number * (steps + 1)
            places = [found[(first + place) % len(found)] for place in range(steps + 1)]
            taken[phase] = [self._step(step) for step in places][1:]
        return taken

    def product(self, size: int, times: int) -> list[float]:
        """Seconds of products of two square float32 matrices; one before them not counted."""
        a = torch.ones(size, size, device=self.trainer.task.device)
        seconds: list[float] = []
        for _ in range(times + 1):
            with self._timing(seconds):
                torch.mm(a, a)
        return seconds[1:]

    def evaluations(self, most: int | None = None) -> dict[str, float]:
        """What measurements take; of more than ``most`` rows, so many are measured for all."""
        data = self.trainer.data
        valid = self._evaluation(data.target_valid, most)
        return {
            "evaluation_seconds": valid + self._evaluation(data.generic_valid, most),
            "test_seconds": self._evaluation(data.target_test, most),
        }

    def _evaluation(self, rows: RowView, most: int | None) -> float:
        seconds: list[float] = []
        part = replace(rows, index=rows.index[:most])
        with self._timing(seconds):
            mean_token_loss(self.trainer.model, part)
        return seconds[0] * len(rows) / len(part)

    def saving(self) -> dict[str, float]:
        """What a checkpoint late in the run takes, and its size."""
        trainer, seconds = self.trainer, list[float]()
        weights = model_state(trainer.model)
        # In fine-tuning, a run also holds the weights as trained and the best so far.
        progress = trainer.progress
        progress.trained_weights, progress.best_weights = _copies(weights), _copies(weights)
        with tempfile.TemporaryDirectory() as folder:
            trainer.checkpoint = Path(folder) / "checkpoint.safetensors"
            with self._timing(seconds):
                trainer.save()
            size = trainer.checkpoint.stat().st_size
        return {
            "checkpoint_seconds": seconds[0],
            "checkpoint_bytes": size,
            "weights_bytes": sum(value.nbytes for value in weights.values()),
        }

    def memory(self) -> dict[str, int | None]:
        """Most bytes that this process has held, in memory and on the device."""
        return {
            "memory_bytes": peak_memory(),
            "device_memory_bytes": peak_device_memory(self.trainer.task.device.type),
        }

    def _step(self, step: int) -> dict[str, Any]:
        parts = PartTimes(self.clock)
        flops = self.trainer.meter.bill().flops
        self.trainer.progress.step = step
        seconds: list[float] = []
        with self._timing(seconds), parts.listening():
            self.trainer.make_step(step, rate=0.0)
        counted = self.trainer.meter.bill().flops - flops
        return {"seconds": seconds[0], "parts": dict(parts.seconds), "flops": counted}

    @contextmanager
    def _timing(self, seconds: list[float]) -> Iterator[None]:
        begin = self.clock()
        yield
        seconds.append(self.clock() - begin)


def main() -> None:
    """Take jobs until standard input ends."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # Imported here, once for all jobs; the first optimiser of a process imports the second.
    methods()
    importlib.import_module("torch._dynamo")
    while line := sys.stdin.readline():
        if "call" in json.loads(line):
            continue  # its process was killed before it read that
        process = os.fork()
        if process == 0:
            _serve(Job.from_json(line), stream)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(json.dumps({"ended": code}), file=stream, flush=True)


def _serve(job: Job, stream: TextIO) -> None:
    """Answer calls until standard input ends."""
    built: list[Stepper] = []

    def asked(call: str, **arguments: Any) -> Any:
        return (
            built.append(_stepper(job)) if call == "load" else getattr(built[0], call)(**arguments)
        )

    answer: dict[str, Any] = {"value": os.getpid()}
    while True:
        print(json.dumps(answer), file=stream, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        answer = _answer(partial(asked, **json.loads(line)))


def _answer(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": work()}
    except (UserError, DivergedError) as error:
        return {"error": str(error)}
    except Exception as error:  # a method's bug must not end the measurement of others
        traceback.print_exc()
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}


def _stepper(job: Job) -> Stepper:
    set_up_torch(job.device, job.threads)
    data = open_prepared(job.prepared)
    model = initial_model(job.spec, data, job.device).to(job.device)
    method = planned_method(job.spec.method)
    return Stepper(
        Trainer(job.spec, data, model, method, Path(), Hooks()),
        _clock(job.device),
    )


def _clock(device: str) -> Callable[[], float]:
    def when_done() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return when_done if device == "cuda" else time.perf_counter


def _copies(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in weights.items()}


if __name__ == "__main__":
    main()
