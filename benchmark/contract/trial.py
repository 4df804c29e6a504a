"""One method on the shared problem: its runs, whole, watched, counted and killed."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmark.api.cost import CostMeter
from benchmark.contract.problem import Changes, Problem
from benchmark.contract.watch import HeldOutError, Watch, watched
from benchmark.data import PreparedData
from benchmark.models.checkpoint import weights_hash
from benchmark.study.stages import Stage
from benchmark.training.hooks import DivergedError, Hooks, InterruptedRunError
from benchmark.training.loop import Trainer

if TYPE_CHECKING:
    from benchmark.api.baseline import Baseline


class KilledError(Exception):
    """Stands for a kill -9: nothing is saved on the way out."""


@dataclass(frozen=True)
class Outcome:
    """All of a run that depends on nothing but its spec."""

    weights: str
    figures: dict[str, Any] = field(hash=False)
    """Every figure of every evaluation and of the results, by name; seconds are left out."""

    @classmethod
    def of(cls, trainer: Trainer) -> Outcome:
        """The outcome of a trainer that has run."""
        figures = {
            f"{key} at step {line['step']} of stage {line['stage']!r}": value
            for line in trainer.progress.metrics
            for key, value in line.items()
            if key != "seconds"
        }
        for result in trainer.progress.results:
            cost = {f"cost {key}": value for key, value in result["cost"].items()}
            figures |= {
                f"{key} of stage {result['stage']!r}": value
                for key, value in {**result, **cost}.items()
                if key not in {"cost", "cost seconds"}
            }
        return cls(weights_hash(trainer.model), figures)

    def difference(self, other: Outcome) -> str:
        """The first thing that differs, empty when all is equal to the bit."""
        for name in {**self.figures, **other.figures}:
            ours, theirs = self.figures.get(name, "nothing"), other.figures.get(name, "nothing")
            if ours != theirs:
                return f"{name}: {ours} and {theirs}"
        return "" if self.weights == other.weights else "the final weights"


class ExactMeter(CostMeter):
    """Counts the FLOPs of every step, and keeps apart those that are stated."""

    def __init__(self) -> None:
        super().__init__()
        self.stated = 0.0

    @contextmanager
    def charge(self, part: str, kind: str | None = None) -> Iterator[None]:  # noqa: ARG002
        with super().charge(part):
            yield

    def charge_flops(self, part: str, flops: float) -> None:
        self.stated += flops
        super().charge_flops(part, flops)


class Trial:
    """A method under check; runs that several checks look at are made once."""

    def __init__(self, method: type[Baseline], problem: Problem) -> None:
        self.method, self.problem = method, problem
        self._folder = Path(tempfile.mkdtemp(dir=problem.folder))

    def trainer(
        self,
        name: str,
        *,
        steps: int | None = None,
        hooks: Hooks | None = None,
        method: type[Baseline] | None = None,
        data: PreparedData | None = None,
    ) -> Trainer:
        """A trainer; those of one ``name`` share a checkpoint.

        With ``steps``, it trains for so many, evaluates at their end and hardly fine-tunes.
        """
        changes: Changes = {}
        if steps:
            changes = {
                "training": {"steps": steps, "evaluate_every": steps},
                "fine_tuning": {"steps": 1},
            }
        return Trainer(
            self.problem.run(self.method.name, self.method.Hyperparameters.for_checks, changes),
            data or self.problem.data,
            self.problem.model(),
            method or self.method,
            self._folder / f"{name}.safetensors",
            hooks or Hooks(),
        )

    @property
    def whole(self) -> Trainer:
        """An uninterrupted run."""
        return self._watched_run[0]

    @property
    def watch(self) -> Watch:
        """What was seen of the uninterrupted run."""
        return self._watched_run[1]

    @cached_property
    def _watched_run(self) -> tuple[Trainer, Watch]:
        watch = Watch()
        method, data = watched(self.method, watch), watch.guard(self.problem.data)
        trainer = self.trainer("whole", method=method, data=data)
        # Broken off by what the method did, a run still shows what that was.
        with global_randomness(0), suppress(DivergedError, HeldOutError):
            trainer.run()
        return trainer, watch

    @cached_property
    def outcome(self) -> Outcome:
        """What the uninterrupted run ended in."""
        return Outcome.of(self.whole)

    @cached_property
    def again(self) -> Outcome:
        """What a second run of the same spec ended in."""
        with global_randomness(1):
            trainer = self.trainer("again")
            trainer.run()
        return Outcome.of(trainer)

    def in_pieces(self, breaks: Iterable[Hooks]) -> Outcome:
        """What a run ended in that was broken off by each of the hooks in turn, and resumed."""
        for number, hooks in enumerate(breaks):
            with global_randomness(number + 2), suppress(KilledError, InterruptedRunError):
                self.trainer("pieces", hooks=hooks).run()
        trainer = self.trainer("pieces")
        trainer.run()
        return Outcome.of(trainer)


def stop_after(stage: Stage, step: int) -> Hooks:
    """Hooks that ask to stop once that step has been made; a checkpoint is saved."""
    made: list[tuple[Stage, int]] = [("trained", 0)]
    return Hooks(
        on_step=lambda at, number, *_: made.append((at, number)),
        should_stop=lambda: made[-1] == (stage, step),
    )


def kill_after(stage: Stage, step: int) -> Hooks:
    """Hooks that break off right after that step's update; nothing is saved."""

    def on_step(at: Stage, number: int, *_: object) -> None:
        if (at, number) == (stage, step):
            raise KilledError

    return Hooks(on_step=on_step)


@contextmanager
def global_randomness(seed: int) -> Iterator[None]:
    """Other global generators than in other runs, so that who depends on them is found out."""
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
