"""Random: train on a uniform random subset of the generic corpus.

What: keeps a uniform subset of the size that a filter keeps and trains on it, epoch after epoch.
Source: a floor; it tells what repeating few rows costs, apart from which rows they are.
Defaults: keeps 10%, as the static classifier filter does. Charged for: training only.
More: docs/methods/random.md
"""

from __future__ import annotations

import numpy as np

from baselines.filters.static_selection import StaticSelection


class RandomSubset(StaticSelection):
    """A uniform subset of the generic corpus."""

    name = "random"
    summary = "a uniform subset of the size that a filter keeps"
    style = ("#E69F00", "s", "-")

    def choose(self) -> np.ndarray:
        rng = self.task.rng(0, "random subset")
        return np.asarray(rng.choice(len(self.task.generic), self.kept_count, replace=False))
