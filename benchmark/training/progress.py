"""How far a run is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from benchmark.models.checkpoint import model_state
from benchmark.study.stages import Stage


@dataclass
class Progress:
    """All that changes over a run besides model, optimiser, method and bill."""

    stage: Stage = "trained"
    step: int = 0
    prepared: bool = False
    loss_sum: float = 0.0
    loss_count: int = 0
    last_loss: float = math.nan
    best_step: int = 0
    best_loss: float = math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    trained_weights: dict[str, Tensor] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)

    def count_loss(self, loss: float) -> None:
        """Count the training loss of an update."""
        self.last_loss = loss
        self.loss_sum += loss
        self.loss_count += 1

    def take_mean_loss(self) -> float:
        """Mean training loss of the steps since it was last taken."""
        mean = self.loss_sum / self.loss_count
        self.loss_sum, self.loss_count = 0.0, 0
        return mean

    def keep_if_best(self, model: nn.Module, loss: float) -> None:
        """Keep the step and the weights of ``model`` if no ``loss`` of the stage was as low."""
        if loss < self.best_loss:
            self.best_loss, self.best_step = loss, self.step
            self.best_weights = copied_weights(model)


def copied_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of ``model``, as a copy that its updates do not move."""
    return {name: value.clone() for name, value in model_state(model).items()}
