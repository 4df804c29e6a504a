"""Target only: train on the small target sample and nothing else.

What: each step trains on the next rows of the target sample, epoch after epoch.
Source: a floor (no generic data at all). No hyper-parameters. Charged for: training only.
More: docs/methods/target_only.md
"""

from __future__ import annotations

from benchmark.api import Baseline, Batch


class TargetOnly(Baseline):
    """What the target sample alone can do."""

    name = "target_only"
    summary = "the target sample alone, epoch after epoch"
    style = ("#009E73", "D", "-")

    def batch(self, step: int) -> Batch:
        return self.task.target_batch(step)
