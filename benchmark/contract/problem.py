"""The problems that methods are checked on, one a task: made-up examples, a tiny model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from benchmark.core.tasks import LANGUAGE_MODELLING, find_task
from benchmark.data import PreparedData, prepare
from benchmark.models.evaluation import mean_token_loss
from benchmark.study.study import PRETRAINING, MethodEntry, RunSpec, Study
from benchmark.tasks import TaskKind
from benchmark.training.start import initial_model

STEPS, FINE_TUNING_STEPS = 8, 4

Settings = Mapping[str, Any]
Changes = Mapping[str, Settings]


class Problem:
    """A generic corpus of three domains, a target sample like one of them.

    Its files are written below ``folder``; everything is a fixed function of nothing.
    """

    def __init__(self, folder: Path, task: str = LANGUAGE_MODELLING) -> None:
        self.folder, self.task = folder, task
        kind: TaskKind = find_task(task)
        content = kind.small_problem(folder / task)
        self._study = Study.model_validate(_study(content))
        self.data: PreparedData = prepare(
            self._study.data, self._study.targets["target"], folder / "cache"
        )
        self.held_out = {
            row.tobytes()
            for view in (self.data.target_valid, self.data.target_test, self.data.generic_valid)
            for row in view.tokens(np.arange(len(view)))
        }

    def run(self, method: str, hyperparameters: Settings, changes: Changes) -> RunSpec:
        """The run of a method on this problem, with changed settings by section of the spec."""
        first = self._study.runs()[0]
        entry = MethodEntry(method=method, hyperparameters=dict(hyperparameters))
        changed = {
            section: getattr(first, section).model_copy(update=dict(settings))
            for section, settings in changes.items()
        }
        return first.model_copy(update={"method": entry, **changed})

    def model(self) -> nn.Module:
        """The main model with its initial weights."""
        return initial_model(self._study.runs()[0], self.data)

    @cached_property
    def untrained_loss(self) -> float:
        """Loss of the initial weights on the target's valid rows."""
        return mean_token_loss(self.model(), self.data.target_valid)


def _study(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "study": "contract",
        **content,
        "methods": [PRETRAINING],
        "training": {
            "steps": STEPS,
            "batch": 8,
            "big_batch": 64,
            "rate": 0.003,
            "warmup": 4,
            "evaluate_every": 4,
        },
        "fine_tuning": {"steps": FINE_TUNING_STEPS, "rate": 0.001, "evaluate_every": 2},
    }
