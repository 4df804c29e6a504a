"""RHO-loss: the rows that a model of the target knows and the main model does not know yet.

What: a small reference model is trained on the target sample; then each step trains on the rows of
the big batch whose loss is highest above the reference's.
Source: arXiv 2206.07137 (public code: the n largest of live less reference loss; the reference is
trained on held-out rows once and may be small) and JEST, arXiv 2406.17711, which names this score
learnability and takes a curated sample for the reference, as here the target's.
Defaults: no generic rows before the target's (both sources), half the main model's depth and width
and three epochs (ours).
Charged for: the reference; a forward pass of it over the corpus, once, or over the big batch at
each step, whichever are fewer rows; a forward pass of the main model over each big batch.
More: docs/methods/rho_loss.md
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.target_models import TargetModelHyperparameters, adapt, new_model, train_prior
from benchmark.api import (
    Baseline,
    Batch,
    Choice,
    Downsampling,
    Task,
    scan,
    score,
)


class RhoLossHyperparameters(TargetModelHyperparameters):
    """Settings of RHO-loss."""

    prior_share: Annotated[float, Field(ge=0, le=1), Choice((0.0, 0.3, 1.0))] = 0.0
    """Steps of training on generic rows before those of the target, as a share of the run's."""

    adaptation_epochs: Annotated[float, Field(gt=0, le=1000), Choice((1.0, 3.0, 10.0))] = 3.0
    """Passes over the target sample."""

    downsampling: Annotated[Downsampling, Choice((5, 10, 32, 64, 128))] = None
    """Rows scored for each row trained on; None: the whole big batch that the study offers."""


class RhoLoss(Baseline):
    """Reducible holdout loss selection."""

    name = "rho_loss"
    summary = "rows whose loss is highest above that of a small model of the target"
    style = ("#E69F00", "h", "-")
    Hyperparameters = RhoLossHyperparameters
    state = ("reference", "irreducible")

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        self._offered = task.big_batch_rows(hyperparameters.downsampling)
        self.irreducible: Tensor | None = None
        self._figures: dict[str, float | Tensor] = {}

    @cached_property
    def reference(self) -> nn.Module:
        """The model of the target."""
        return new_model(self.task, self.hyperparameters)

    def prepare(self) -> None:
        reference, task = self.reference, self.task
        train_prior(task, self.hyperparameters, reference)
        adapt(task, self.hyperparameters, reference)
        if task.steps * self._offered <= len(task.generic):
            return

        def of_part(positions: np.ndarray) -> np.ndarray:
            return score(reference, task.generic_rows(positions).rows).cpu().numpy()

        settings = self.hyperparameters.model_dump(mode="json", exclude={"downsampling"})
        everything = np.arange(len(task.generic))
        found = scan(task, "irreducible losses", settings, everything, of_part)
        self.irreducible = torch.from_numpy(found).to(task.device)
        del self.reference

    def batch(self, step: int) -> Batch:
        big = self.task.big_batch(step, self.hyperparameters.downsampling)
        live, irreducible = score(self.task.model, big.rows), self.irreducible_losses(big)
        reducible = live - irreducible
        chosen = torch.topk(reducible, self.task.batch_size).indices
        self._figures = {
            "reducible_loss/offered": reducible.mean(),
            "reducible_loss/chosen": reducible[chosen].mean(),
            "irreducible_loss/chosen": irreducible[chosen].mean(),
        }
        return big.take(chosen)

    def irreducible_losses(self, batch: Batch) -> Tensor:
        """The reference's losses ``[n]`` of generic rows."""
        if self.irreducible is None:
            return score(self.reference, batch.rows)
        return self.irreducible[torch.from_numpy(batch.positions).to(self.task.device)]

    def observe(self, step: int) -> Mapping[str, float | Tensor]:  # noqa: ARG002
        return self._figures
