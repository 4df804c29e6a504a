"""The problem that methods are checked on: three subjects of made-up sentences, a tiny model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from benchmark.data import PreparedData, prepare
from benchmark.models.evaluation import mean_token_loss
from benchmark.study.study import MethodEntry, RunSpec, Study
from benchmark.training.start import initial_model

STEPS, FINE_TUNING_STEPS = 8, 4

Settings = Mapping[str, Any]
Changes = Mapping[str, Settings]

SUBJECTS = {
    "garden": "rose tulip spade soil water seed bloom prune hedge lawn bulb compost",
    "harbour": "ship anchor tide rope sail crane dock pilot buoy cargo wharf keel",
    "kitchen": "flour oven whisk butter salt simmer knife dough spice pan broth sieve",
}
TARGET_SUBJECT = "harbour"


class Problem:
    """A generic corpus of three subjects, a target sample about one of them.

    Its files are written below ``folder``; everything is a fixed function of nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        generic, target = _write_texts(folder / "text")
        self._study = Study.model_validate(_study(generic, target))
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


def _write_texts(folder: Path) -> tuple[Path, Path]:
    generic, target = folder / "generic", folder / "target.txt"
    generic.mkdir(parents=True)
    for number, subject in enumerate(SUBJECTS):
        text = "\n\n".join(_sentences(subject, 300, seed=number))
        (generic / f"{subject}.txt").write_text(text, encoding="utf-8")
    text = "\n\n".join(_sentences(TARGET_SUBJECT, 300, seed=len(SUBJECTS)))
    target.write_text(text, encoding="utf-8")
    return generic, target


def _sentences(subject: str, count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    words = SUBJECTS[subject].split()
    return [f"{number} {' '.join(rng.choice(words, 9))}." for number in range(count)]


def _study(generic: Path, target: Path) -> dict[str, Any]:
    # Dropout, so that randomness which depends on what a method drew before shows.
    model = {"layers": 1, "width": 16, "heads": 2, "hidden": 32, "dropout": 0.1}
    return {
        "study": "contract",
        "data": {"generic": str(generic), "width": 32, "generic_valid": 40},
        "models": {"tiny": {"transformer": model}},
        "targets": {"target": {"source": str(target), "train": 100, "valid": 50, "test": 50}},
        "methods": ["pretraining"],
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
