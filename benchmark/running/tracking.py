"""The measurements of a run as others show them: TensorBoard, Weights & Biases, trackio.

Records and ``metrics.jsonl`` are what counts; nothing is read back from here.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from benchmark.core.errors import UserError, one_line
from benchmark.study.records import run_folder
from benchmark.study.study import RunSpec

Tracker = Literal["tensorboard", "wandb", "trackio"]
"""A program that shows measurements."""

Log = Callable[[int, Mapping[str, float]], None]
"""Takes in numbers by name, at a step counted over both stages."""

End = Callable[[], None]
"""Sends what is left."""

_NOBODY: tuple[Log, End] = (lambda *_: None, lambda: None)


def require_tracker(name: Tracker | None) -> None:
    """Refuse a tracker that is not installed.

    Raises:
        UserError: naming what to do.
    """
    if name is not None and find_spec(name) is None:
        extra = "'adaptbench[track]'" if name == "tensorboard" else name
        raise UserError(f"--track: {name} is not installed: pip install {extra}")


class Tracking:
    """Hands each measurement of a run on, once; a run that is resumed hands on all again.

    TensorBoard's files are then written anew, Weights & Biases goes on with the run of that name
    and leaves out steps that it has, and trackio has a second run. A tracker that fails once the
    run has begun does not end it.
    """

    def __init__(self, name: Tracker | None, spec: RunSpec, results: Path) -> None:
        self._name, self._log, self._end = name, *_NOBODY
        if name is not None:
            self._log, self._end = _opened(name, spec, results)
        self._steps = spec.training.steps
        self._seen = 0

    def hear(self, lines: list[dict[str, Any]]) -> None:
        """Take in all measurements so far."""
        for line in lines[self._seen :]:
            tuning = line["stage"] == "fine_tuned"
            numbers = {
                f"{line['stage']}/{name}": float(value)
                for name, value in line.items()
                if name != "step" and isinstance(value, int | float)
            }
            step = line["step"] + self._steps * tuning
            self._try(partial(self._log, step, numbers))
        self._seen = len(lines)

    def end(self) -> None:
        """Send what is left."""
        self._try(self._end)

    def _try(self, work: Callable[[], object]) -> None:
        """A tracker that fails is left alone, and the run goes on."""
        try:
            work()
        except Exception as error:
            print(f"--track: {self._name} is told no more: {one_line(error)}", file=sys.stderr)
            self._log, self._end = _NOBODY


def _opened(name: Tracker, spec: RunSpec, results: Path) -> tuple[Log, End]:
    if name == "tensorboard":
        return _tensorboard(run_folder(results, spec.run_id) / "tensorboard")
    return _web(name, spec, results)


def _tensorboard(folder: Path) -> tuple[Log, End]:
    from torch.utils.tensorboard import SummaryWriter

    # What an interrupted process has written would be shown twice.
    shutil.rmtree(folder, ignore_errors=True)
    writer: Any = SummaryWriter(folder)

    def log(step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return log, writer.close


def _web(name: Tracker, spec: RunSpec, results: Path) -> tuple[Log, End]:
    """Weights & Biases, and trackio, whose functions have its names."""
    import importlib

    module: Any = importlib.import_module(name)
    own: dict[str, Any] = {}
    if name == "wandb":
        folder = run_folder(results, spec.run_id)
        folder.mkdir(parents=True, exist_ok=True)
        own = {"dir": str(folder), "id": spec.run_id, "resume": "allow"}
    config = spec.model_dump(mode="json")
    module.init(project=results.name, name=spec.run_id, config=config, **own)

    def log(step: int, numbers: Mapping[str, float]) -> None:
        module.log(dict(numbers), step=step)

    return log, module.finish
