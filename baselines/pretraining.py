"""Pretraining: train on generic rows as they come.

What: each step trains on the first batch of generic rows; followed by the fine-tuning stage it is
the classic "pretrain, then fine-tune".
Source: arXiv 2311.11973 (``standard_training``). No hyper-parameters. Charged for: training only.
"""

from __future__ import annotations

from typing import Any

from benchmark.api.baseline import Baseline
from benchmark.models.batch import Batch


class Pretraining(Baseline):
    """The floor that every other method is compared with."""

    name = "pretraining"
    summary = "generic rows as they come"

    @classmethod
    def pretraining_steps(cls, hyperparameters: Any, steps: int) -> int:  # noqa: ARG003
        return steps

    def batch(self, step: int) -> Batch:
        return self.task.generic_batch(step)
