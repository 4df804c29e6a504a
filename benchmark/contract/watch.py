"""Watching a method work: what it returns, and whether it touches what is not its to touch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import nn

from benchmark.api.task import Task
from benchmark.models.batch import Batch, Rows
from benchmark.models.checkpoint import weights_hash

if TYPE_CHECKING:
    from benchmark.api.baseline import Baseline
    from benchmark.data import PreparedData

HELD_OUT = ("target_valid", "target_test", "generic_valid")


class HeldOutError(Exception):
    """A method reached for rows that are not for training."""


@dataclass
class Watch:
    """What was seen of one run of a method."""

    touched: list[str] = field(default_factory=list)
    """Held-out splits that the method read."""
    batches: list[Batch] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    """Calls that left the main model with other weights, or in another mode."""
    first_weights: str = ""
    """Hash of the main model's weights when the method first offered a batch."""
    active: int = 0

    @contextmanager
    def call(self, model: nn.Module, what: str) -> Iterator[None]:
        """A call of the method, during which held-out rows are out of bounds."""
        before = (weights_hash(model), model.training)
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1
        if (weights_hash(model), model.training) != before:
            self.changes.append(what)

    def guard(self, data: PreparedData) -> PreparedData:
        """The same data with held-out rows that raise when the method reads them."""
        guarded = {name: GuardedRows(getattr(data, name), name, self) for name in HELD_OUT}
        generic = OnlyRows(data.generic)
        return replace(data, generic=cast(Any, generic), **cast(Any, guarded))


class OnlyRows:
    """Rows without the store behind them, which holds the rows of other splits too."""

    def __init__(self, rows: Rows) -> None:
        self._tokens, self._domains, self._size = rows.tokens, rows.domains, len(rows)
        self.domain_names = rows.domain_names

    def __len__(self) -> int:
        return self._size

    def tokens(self, positions: np.ndarray) -> np.ndarray:
        return self._tokens(positions)

    def domains(self, positions: np.ndarray) -> np.ndarray:
        return self._domains(positions)


class GuardedRows(OnlyRows):
    """Rows of a held-out split: whoever reads them while the method works is stopped."""

    def __init__(self, rows: Rows, split: str, watch: Watch) -> None:
        super().__init__(rows)
        self._split, self._watch = split, watch

    def tokens(self, positions: np.ndarray) -> np.ndarray:
        self._stop()
        return super().tokens(positions)

    def domains(self, positions: np.ndarray) -> np.ndarray:
        self._stop()
        return super().domains(positions)

    def _stop(self) -> None:
        if self._watch.active:
            self._watch.touched.append(self._split)
            raise HeldOutError(f"the method read rows of {self._split}")


def watched(method: type[Baseline], watch: Watch) -> type[Baseline]:
    """The method, with each of its calls watched."""

    class Watched(method):  # type: ignore[valid-type, misc]
        def __init__(self, task: Task, hyperparameters: Any) -> None:
            with watch.call(task.model, "__init__"):
                super().__init__(task, hyperparameters)

        def prepare(self) -> None:
            with watch.call(self.task.model, "prepare"):
                super().prepare()

        def batch(self, step: int) -> Batch:
            with watch.call(self.task.model, f"batch({step})"):
                batch: Batch = super().batch(step)
            watch.first_weights = watch.first_weights or weights_hash(self.task.model)
            watch.batches.append(batch)
            return batch

        def observe(self, step: int) -> Mapping[str, float]:
            with watch.call(self.task.model, f"observe({step})"):
                figures: Mapping[str, float] = super().observe(step)
            return figures

    return Watched
