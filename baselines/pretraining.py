"""Pretraining: train on generic rows as they come.

What: each step trains on the first batch of generic rows; followed by the fine-tuning stage it is
the classic "pretrain, then fine-tune".
Source: arXiv 2311.11973 (``standard_training``). No hyper-parameters. Charged for: training only.
More: docs/methods/pretraining.md
"""

from __future__ import annotations

from benchmark.api import PRETRAINING, Baseline, Batch, Hyperparameters


class PretrainingHyperparameters(Hyperparameters):
    """No settings."""

    def phase(self, step: int, steps: int) -> str:  # noqa: ARG002
        return PRETRAINING


class Pretraining(Baseline):
    """The floor that every other method is compared with."""

    name = "pretraining"
    summary = "generic rows as they come"
    style = ("#000000", "o", "-")
    Hyperparameters = PretrainingHyperparameters

    def batch(self, step: int) -> Batch:
        return self.task.generic_batch(step)
