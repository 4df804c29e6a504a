"""Mixing: train on generic and target rows together.

What: ``gradient`` adds the gradients of a generic and of a target batch of equal size, weighted
1 - ``share`` and ``share``; ``data`` does so within one batch, with that share of target rows
(rounded to whole rows, at least one; their weights make the share exact).
Source: arXiv 2311.11973 (``mixed_training``: the gradient form, .9 / .1, .95 / .05 on europarl).
Defaults: the gradient form, share .1 (public code).
Charged for: the gradient form trains on two batches a step, so twice the compute; the data form
costs as much as pretraining.
More: docs/methods/mixing.md
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from benchmark.api import Baseline, Batch, Choice, Hyperparameters, token_counts


class MixingHyperparameters(Hyperparameters):
    """Settings of mixing."""

    form: Literal["gradient", "data"] = "gradient"
    """``gradient``: a generic and a target batch each step, so twice the compute; ``data``: one
    batch of both.
    """

    share: Annotated[float, Field(gt=0, lt=1), Choice((0.05, 0.1, 0.2, 0.5))] = 0.1
    """Weight of the target's tokens in the loss."""


class Mixing(Baseline):
    """Generic and target rows in fixed proportion."""

    name = "mixing"
    summary = "generic and target rows in fixed proportion"
    style = ("#56B4E9", "^", "-")
    Hyperparameters = MixingHyperparameters

    def batch(self, step: int) -> Batch:
        size, share = self.task.batch_size, self.hyperparameters.share
        if self.hyperparameters.form == "gradient":
            generic, target = self.task.generic_batch(step), self.task.target_batch(step)
        else:
            count = min(max(1, round(size * share)), size - 1)
            generic = self.task.generic_batch(step, size - count)
            target = self.task.target_batch(step, count)
        return _join(generic, target, share)


def _join(generic: Batch, target: Batch, share: float) -> Batch:
    """Both parts as one batch in which the target's tokens together weigh ``share``."""
    weights = [
        torch.full((len(part),), mass / float(token_counts(part.rows).sum()))
        for mass, part in ((1 - share, generic), (share, target))
    ]
    return Batch(
        rows=torch.cat([generic.rows, target.rows]),
        positions=np.concatenate([generic.positions, target.positions]),
        weights=torch.cat(weights).to(generic.rows.device),
    )
