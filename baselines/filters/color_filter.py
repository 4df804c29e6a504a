"""CoLoR-Filter: the rows whose loss falls most between a small model and its adapted copy.

What: a small model is trained on generic rows and a copy of it adapted to the target sample; the
whole generic corpus is scored by both, and what adaptation lowers the loss of most is kept.
Source: arXiv 2406.10670 and public code: score = mean token loss before less after adaptation,
the highest of the whole corpus; adaptation has a new optimiser and the prior's peak rate.
Defaults: keep 1/16 (published: 1/7 to 1/64); a prior of the run's steps at half the main model's
depth and width (150M for 1.2B parameters), adapted for one epoch (all public code).
Charged for: training both, and two forward passes of the small models over the corpus.
More: docs/methods/color_filter.md
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from baselines.filters.static_selection import StaticHyperparameters, StaticSelection
from baselines.row_text import all_positions
from baselines.target_models import TargetModelHyperparameters, adapt, new_model, train_prior
from benchmark.api import Choice, scan, score, twin


class ColorFilterHyperparameters(TargetModelHyperparameters, StaticHyperparameters):
    """Settings of CoLoR-Filter."""

    keep: Annotated[float, Field(gt=0, le=1), Choice((1 / 64, 1 / 32, 1 / 16, 1 / 7))] = 1 / 16
    """Share of the generic corpus that is kept."""


class ColorFilter(StaticSelection):
    """Conditional loss reduction filtering."""

    name = "color_filter"
    summary = "top fraction by the fall of a small model's loss when it is adapted to the target"
    chooses_by = "gradient"
    style = ("#009E73", "X", "--")
    Hyperparameters = ColorFilterHyperparameters

    def choose(self) -> np.ndarray:
        task, settings = self.task, self.hyperparameters
        prior = new_model(task, settings)
        train_prior(task, settings, prior)
        adapted = twin(prior)
        adapt(task, settings, adapted)

        def of_part(positions: np.ndarray) -> np.ndarray:
            rows = task.generic_rows(positions).rows
            return (score(prior, rows) - score(adapted, rows)).cpu().numpy()

        depends_on = settings.model_dump(mode="json", exclude={"keep"})
        falls = scan(task, "color_filter falls", depends_on, all_positions(task), of_part)
        return np.argsort(-falls, kind="stable")[: self.kept_count]
