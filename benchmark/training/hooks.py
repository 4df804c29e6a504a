"""How a run ends early, and how its loop talks to whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmark.study.stages import Stage


class DivergedError(Exception):
    """The loss stopped being finite; ``step`` counts within ``stage``."""

    def __init__(self, stage: Stage, step: int, what: str) -> None:
        super().__init__(f"{what} at step {step} of stage {stage!r}")
        self.step = step


class InterruptedRunError(Exception):
    """The run was asked to stop; its checkpoint is saved."""


@dataclass(frozen=True)
class Hooks:
    """How the loop talks to whoever runs it.

    ``on_step(stage, step, of, loss)`` after each step, with the last loss known, which may be that
    of the step before; ``on_metrics(lines)`` after each
    evaluation; ``should_stop()`` asked before each step.
    """

    on_step: Callable[[Stage, int, int, float], None] = lambda *_: None
    on_metrics: Callable[[list[dict[str, Any]]], None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False
