"""Auxiliary models: what methods train and score with besides the main model.

All of it is charged to the method: call these inside ``prepare`` or ``batch``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.models import per_example_loss
from benchmark.optimisation import build_optimizer, inverse_square_root, update
from benchmark.task import Batch, Task

SCORING_ROWS = 512


def twin(model: nn.Module) -> nn.Module:
    """An independent copy of a model with the weights that it has now."""
    return copy.deepcopy(model)


def train(
    model: nn.Module, batches: Callable[[int], Batch], steps: int, rate: float, warmup: int
) -> float:
    """Train ``model`` on ``batches(step)`` as the main model is trained; its last loss in nats.

    Raises:
        FloatingPointError: the loss stopped being finite.
    """
    optimizer = build_optimizer(list(model.parameters()))
    loss = 0.0
    for step in range(steps):
        loss = update(model, optimizer, batches(step), inverse_square_root(step, rate, warmup))
        if not np.isfinite(loss):
            raise FloatingPointError(f"auxiliary model's loss is {loss} at step {step}")
    return loss


@torch.no_grad()
def score(model: nn.Module, rows: Tensor) -> Tensor:
    """Per-example losses of ``rows`` ``[n, T]`` without dropout, in nats: ``[n]``."""
    training = model.training
    model.eval()
    losses = torch.cat([per_example_loss(model, part) for part in rows.split(SCORING_ROWS)])
    model.train(training)
    return losses


def map_generic(task: Task, of_batch: Callable[[Batch], np.ndarray]) -> np.ndarray:
    """``of_batch`` of every generic row in order, block by block: ``[len(generic), ...]``."""
    size = len(task.generic)
    parts = [
        of_batch(task.generic_rows(np.arange(start, min(start + SCORING_ROWS, size))))
        for start in range(0, size, SCORING_ROWS)
    ]
    return np.concatenate(parts)
