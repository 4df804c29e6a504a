"""Target only: train on the small target sample and nothing else.

What: each step trains on the next rows of the target sample, epoch after epoch; the best step on
valid counts, by the rule of the fine-tuning stage: what the sample alone can do.
Source: a floor (no generic data at all). Charged for: training only, all steps of it.
More: docs/methods/target_only.md
"""

from __future__ import annotations

from typing import Literal

from benchmark.api import Baseline, Batch, Hyperparameters, Task


class TargetOnlyHyperparameters(Hyperparameters):
    """Settings of training on the target sample alone."""

    step: Literal["best", "last"] = "best"
    """Which step counts as trained: the ``best`` on valid, step 0 included, or the ``last``."""


class TargetOnly(Baseline):
    """What the target sample alone can do."""

    name = "target_only"
    summary = "the target sample alone, epoch after epoch"
    revision = 2
    style = ("#009E73", "D", "-")
    Hyperparameters = TargetOnlyHyperparameters

    def __init__(self, task: Task, hyperparameters: TargetOnlyHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        self.keeps_best = hyperparameters.step == "best"

    def batch(self, step: int) -> Batch:
        return self.task.target_batch(step)
