"""One run, a few steps at a time: ``python -m benchmark.running.times.stepper``.

The first line on standard input is the job, each further one a call of a `Stepper` as JSON:
``{"call": "turn", "number": 0, "steps": 3}``. Each is answered by a line: ``{"value": ...}``, or
``{"error": ...}``, the reason in one line.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmark.api.parts import PartTimes
from benchmark.core.errors import UserError
from benchmark.data import open_prepared
from benchmark.methods.registry import planned_method
from benchmark.models.checkpoint import model_state
from benchmark.models.evaluation import mean_token_loss
from benchmark.running.times.phases import recurring, single, steps_by_phase
from benchmark.running.worker import Job
from benchmark.study.step_times import PREPARATION
from benchmark.training.loop import DivergedError, Hooks, Trainer
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

    def overheads(self) -> dict[str, float]:
        """What evaluation and a checkpoint late in the run take, and their sizes."""
        trainer, data, seconds = self.trainer, self.trainer.data, list[float]()
        with self._timing(seconds):
            mean_token_loss(trainer.model, data.target_valid)
            mean_token_loss(trainer.model, data.generic_valid)
        with self._timing(seconds):
            mean_token_loss(trainer.model, data.target_test)
        weights = model_state(trainer.model)
        # In fine-tuning, a run also holds the weights as trained and the best so far.
        progress = trainer.progress
        progress.trained_weights, progress.best_weights = _copies(weights), _copies(weights)
        with self._timing(seconds):
            trainer.save()
        size = trainer.checkpoint.stat().st_size
        trainer.checkpoint.unlink()
        return {
            "evaluation_seconds": seconds[0],
            "test_seconds": seconds[1],
            "checkpoint_seconds": seconds[2],
            "checkpoint_bytes": size,
            "weights_bytes": sum(value.nbytes for value in weights.values()),
        }

    def memory(self) -> dict[str, int | None]:
        """Most bytes that this process has held, in memory and on the device."""
        on_device = self.trainer.task.device.type == "cuda"
        return {
            "memory_bytes": _peak_memory(),
            "device_memory_bytes": torch.cuda.max_memory_allocated() if on_device else None,
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
    """Answer calls until standard input ends."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = Job.from_json(sys.stdin.readline())
    with tempfile.TemporaryDirectory() as folder:
        built: list[Stepper] = []
        answer = _answer(lambda: built.append(_stepper(job, Path(folder))))
        while True:
            print(json.dumps(answer), file=stream, flush=True)
            call = json.loads(sys.stdin.readline() or "{}")
            if not call:
                return
            answer = _answer(lambda: getattr(built[0], call.pop("call"))(**call))  # noqa: B023


def _answer(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": work()}
    except (UserError, DivergedError) as error:
        return {"error": str(error)}
    except Exception as error:  # a method's bug must not end the measurement of others
        traceback.print_exc()
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}


def _stepper(job: Job, folder: Path) -> Stepper:
    set_up_torch(job.device, job.threads)
    data = open_prepared(job.prepared)
    model = initial_model(job.spec, data).to(job.device)
    checkpoint = folder / "checkpoint.safetensors"
    trainer = Trainer(job.spec, data, model, planned_method(job.spec.method), checkpoint, Hooks())
    return Stepper(trainer, _clock(job.device))


def _clock(device: str) -> Callable[[], float]:
    def when_done() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return when_done if device == "cuda" else time.perf_counter


def _copies(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in weights.items()}


def _peak_memory() -> int:
    """Not of getrusage, which counts what the process that started this one held."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
