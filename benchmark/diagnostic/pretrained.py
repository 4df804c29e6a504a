"""Checkpoints of plain pretraining, made once by the training loop and kept in the cache.

``CACHE/pretrained/HASH/STEP.safetensors`` holds the weights after STEP steps, HASH being that of
all that decides them: what was asked, the rows, the code, the kind of machine. An interrupted
pretraining goes on from its last evaluation; it starts from a beginning that a run has published,
and publishes its own (`benchmark.training.beginnings`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from benchmark.core.errors import UnmeasurableError, UserError
from benchmark.methods.registry import find_method
from benchmark.models.checkpoint import (
    load_checkpoint,
    load_model_state,
    model_state,
    save_checkpoint,
    weights_hash,
)
from benchmark.study.environment import code_digest
from benchmark.study.study import PRETRAINING
from benchmark.training.beginnings import SharedStage
from benchmark.training.hooks import DivergedError, Hooks
from benchmark.training.loop import Trainer
from benchmark.training.start import initial_model

if TYPE_CHECKING:
    from benchmark.data import PreparedData
    from benchmark.study.records import Environment
    from benchmark.study.study import RunSpec

Listener = Callable[[int, int, float], None]
"""Hears of each step of pretraining: step, steps in all, loss."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights to look at; ``step`` of plain pretraining, None for a file that was given."""

    label: str
    step: int | None
    weights: dict[str, Tensor]


class _EnoughError(Exception):
    """The last state that was asked for has been saved."""


@dataclass(frozen=True)
class Pretraining:
    """The plain pretraining that ``spec`` asks for, ``listen`` hearing of each step."""

    spec: RunSpec
    data: PreparedData
    cache: Path
    environment: Environment
    listen: Listener

    def checkpoints(self, shares: Sequence[float]) -> list[Checkpoint]:
        """Its states at shares of the training steps, from the cache or made now.

        Only generic rows are trained on. The loop's evaluations guard against divergence; nothing
        of them is handed on.

        Raises:
            UserError: two shares are the same step, the pretraining diverges, or the cache cannot
                be written.
        """
        steps = self._steps(shares)
        self._take_what_runs_share(self._missing(steps))
        if missing := self._missing(steps):
            self._train(missing)
        return [
            Checkpoint(f"{100 * share:.4g}%", step, self._weights(step))
            for share, step in zip(shares, steps, strict=True)
        ]

    def _steps(self, shares: Sequence[float]) -> list[int]:
        steps = [round(share * self.spec.training.steps) for share in shares]
        if len(set(steps)) < len(steps):
            raise UserError(
                f"--at: of {self.spec.training.steps} training steps, two checkpoints are the same "
                f"(steps {', '.join(map(str, steps))}): take them further apart"
            )
        return steps

    def _missing(self, steps: Sequence[int]) -> list[int]:
        return [step for step in steps if step > 0 and not self._file(step).exists()]

    def _weights(self, step: int) -> dict[str, Tensor]:
        if step == 0:
            return model_state(initial_model(self.spec, self.data))
        return load_checkpoint(self._file(step))

    def _take_what_runs_share(self, steps: Sequence[int]) -> None:
        """Keep the weights of states that runs have published at these very steps."""
        for step in steps:
            found = self._stage(step).find()
            if found is not None and int(found.stem) == step:
                save_checkpoint(self._file(step), load_checkpoint(found)["model"])

    def _stage(self, step: int) -> SharedStage:
        """The beginning of ``step`` steps that runs like this one share."""
        rows = self.data.fingerprint
        stage = SharedStage(self.spec, rows, self.environment, self.cache)
        stage.steps = step
        return stage

    def _train(self, missing: Sequence[int]) -> None:
        model = initial_model(self.spec, self.data).to(self.environment.device)
        progress = self._folder / "checkpoint.safetensors"
        _forget_if_past(progress, min(missing))

        def on_step(_: str, step: int, of: int, loss: float) -> None:
            self.listen(step, of, loss)
            if step in missing:
                save_checkpoint(self._file(step), model_state(model))
            if step == max(missing):
                raise _EnoughError

        method, hooks = find_method(PRETRAINING), Hooks(on_step=on_step)
        # A shared beginning longer than this would skip the first state that is missing.
        stage = self._stage(min(missing))
        trainer = Trainer(self.spec, self.data, model, method, progress, hooks, stage)
        try:
            trainer.run()
        except _EnoughError:
            progress.unlink(missing_ok=True)
        except DivergedError as error:
            raise UnmeasurableError(f"pretraining: {error}; lower training.rate") from error

    @cached_property
    def _folder(self) -> Path:
        alike = self.environment.model_dump(exclude={"commit", "dirty", "host"})
        rows, code = self.data.fingerprint, code_digest()
        content = (self.spec.protocol, self.spec.seed, rows, code, sorted(alike.items()))
        name = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
        return self.cache / "pretrained" / name

    def _file(self, step: int) -> Path:
        return self._folder / f"{step}.safetensors"


def given(files: Sequence[Path]) -> list[Checkpoint]:
    """Checkpoints of the user's own, such as a run's ``trained.safetensors``, oldest first.

    Raises:
        UserError: a file is missing or no checkpoint.
    """
    for file in files:
        if not file.is_file():
            raise UserError(f"--checkpoint: {file}: no such file")
    return [Checkpoint(file.name, None, load_checkpoint(file)) for file in files]


def put_into(model: nn.Module, checkpoint: Checkpoint) -> str:
    """Load the checkpoint's weights into ``model``; their SHA-256.

    Raises:
        UserError: they are those of another architecture.
    """
    weights = checkpoint.weights
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise UserError(
            f"checkpoint {checkpoint.label}: holds more than weights; give trained.safetensors"
        )
    try:
        load_model_state(model, weights)
    except UserError as error:
        raise UserError(f"checkpoint {checkpoint.label}: {error}; give --model its own") from error
    return weights_hash(model)


def _forget_if_past(progress: Path, step: int) -> None:
    """Drop an interrupted pretraining that has gone past a state that is asked for now."""
    if progress.exists() and load_checkpoint(progress)["progress"]["step"] >= step:
        progress.unlink()
