"""How far a run has come."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from benchmark.study.stages import Stage


@dataclass
class Progress:
    """All that changes over a run besides model, optimiser, method and bill."""

    stage: Stage = "trained"
    step: int = 0
    prepared: bool = False
    loss_sum: float = 0.0
    loss_count: int = 0
    best_step: int = 0
    best_loss: float = math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    trained_weights: dict[str, Tensor] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
