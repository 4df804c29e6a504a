"""CDS: contrastive data selection.

What: the main model pretrains on generic rows; a copy is then fine-tuned on the target sample; from
there on the model trains on those rows of each big batch whose loss fine-tuning lowered most.
Source: Wang et al. 2018; arXiv 2311.11973 ("CDS") and its public code: per-example mean losses
after less before, rounded to float16; the n smallest of each big batch, ties to the lower index.
Defaults: a third of the steps for pretraining (public code: 100k of 300k for most targets);
fine-tuning for a tenth of the steps at half the main model's peak rate (ours).
Charged for: fine-tuning the copy; then two forward passes over the corpus, once, or over the big
batch at each step, whichever are fewer rows.
More: docs/methods/cds.md
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from benchmark.api import (
    PRETRAINING,
    Baseline,
    Batch,
    Choice,
    DownsamplingHyperparameters,
    LogUniform,
    Task,
    scan,
    score,
    train,
    train_once,
    twin,
)


class ContrastiveHyperparameters(DownsamplingHyperparameters):
    """Settings of contrastive data selection."""

    pretrain_share: Annotated[float, Field(ge=0, lt=1), Choice((0.1, 1 / 3, 0.6))] = 1 / 3
    """Steps before the copy is taken, as a share of the run's, rounded down."""

    adaptation_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Steps of fine-tuning the copy on the target sample, as a share of the run's."""

    adaptation_rate_factor: Annotated[float, Field(gt=0, le=1000), LogUniform(0.05, 5.0)] = 0.5
    """Peak learning rate of fine-tuning the copy, in units of the main model's."""

    def phase(self, step: int, steps: int) -> str:
        first = int(self.pretrain_share * steps)
        return PRETRAINING if step < first else "adaptation" if step == first else "selection"


class Contrastive(Baseline):
    """Pretraining, then the rows whose loss a fine-tuned copy lowers most."""

    name = "cds"
    summary = "after pretraining, the rows whose loss fell most in a copy fine-tuned on the target"
    chooses_by = "gradient"
    style = ("#000000", ">", "--")
    Hyperparameters = ContrastiveHyperparameters
    state = ("before", "after", "changes")

    def __init__(self, task: Task, hyperparameters: ContrastiveHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        # At least two steps, since the rate of the first is 0.
        self._copy_steps = max(2, round(hyperparameters.adaptation_share * task.steps))
        self._offered = task.big_batch_rows(hyperparameters.downsampling)
        self.changes: Tensor | None = None
        self._figures: dict[str, float | Tensor] = {}

    def batch(self, step: int) -> Batch:
        phase = self.hyperparameters.phase(step, self.task.steps)
        if phase == PRETRAINING:
            return self.task.generic_batch(step)
        if phase == "adaptation":
            self.adapt()
            if self.scores_ahead(step):
                self.score_ahead()
        places = self.task.generic_places(step, self._offered)
        change = self.changes_of(places)
        chosen = largest_falls(change, self.task.batch_size)
        self._figures = {
            "loss_change/offered": change.float().mean(),
            "loss_change/chosen": change[chosen].float().mean(),
        }
        return self.task.generic_rows(places[chosen.cpu().numpy()])

    def scores_ahead(self, step: int) -> bool:
        """Whether the steps from ``step`` on are offered more rows than the corpus has."""
        return (self.task.steps - step) * self._offered > len(self.task.generic)

    def score_ahead(self) -> None:
        """Score the corpus once; the copies have served then."""
        changes = scan(
            self.task,
            "cds changes",
            self.hyperparameters.model_dump(mode="json"),
            np.arange(len(self.task.generic)),
            lambda positions: self.fresh_changes(positions).cpu().numpy(),
        )
        self.changes = torch.from_numpy(changes).to(self.task.device)
        for copy in ("before", "after"):
            vars(self).pop(copy, None)

    def changes_of(self, positions: np.ndarray) -> Tensor:
        """Loss changes ``[n]`` of the generic rows at ``positions`` ``[n]``."""
        if self.changes is None:
            return self.fresh_changes(positions)
        return self.changes[torch.from_numpy(positions).to(self.task.device)]

    def fresh_changes(self, positions: np.ndarray) -> Tensor:
        """Loss changes ``[n]``, by both copies."""
        rows = self.task.generic_rows(positions).rows
        return loss_change(score(self.before, rows), score(self.after, rows))

    @cached_property
    def before(self) -> nn.Module:
        """A copy of the main model as it is when first asked for."""
        return twin(self.task.model)

    @cached_property
    def after(self) -> nn.Module:
        """Another, to be fine-tuned."""
        return twin(self.task.model)

    def adapt(self) -> None:
        """Fine-tune a copy on the target sample; the main model stays as it is."""
        purpose, rate = "cds adaptation", self.hyperparameters.adaptation_rate_factor
        fine_tune = partial(
            train,
            self.task,
            self.after,
            partial(self.task.target_batch, stream="cds"),
            self._copy_steps,
            purpose,
            rate=rate * self.task.peak_rate,
        )
        settings = self.hyperparameters.model_dump(mode="json")
        train_once(self.task, purpose, settings, self.after, fine_tune)

    def observe(self, step: int) -> Mapping[str, float | Tensor]:  # noqa: ARG002
        return self._figures


def loss_change(before: Tensor, after: Tensor) -> Tensor:
    """Per-example losses ``[n]`` after less before fine-tuning, in nats, rounded to float16."""
    return (after - before).to(torch.float16)


def largest_falls(change: Tensor, count: int) -> Tensor:
    """Indices ``[count]`` of the smallest changes, most negative first, ties to the lower index."""
    return torch.sort(change, stable=True).indices[:count]
