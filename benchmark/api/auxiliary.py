"""Auxiliary models: what methods train and score with besides the main model.

All of it is charged to the method: call these inside ``prepare`` or ``batch``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api.task import Task
from benchmark.core.errors import UserError
from benchmark.core.parts import OUTER_UPDATE, SCORING, timed
from benchmark.models.batch import Batch
from benchmark.models.build import build_transformer
from benchmark.models.checkpoint import load_model_state, model_state
from benchmark.models.losses import per_example_loss
from benchmark.models.optimisation import update
from benchmark.models.passes import passes_of, scan_parts_of, set_passes

SCAN_ROWS = 2**16
BLOCK_ROWS = 512


def twin(model: nn.Module) -> nn.Module:
    """An independent copy of a model with the weights that it has now."""
    return copy.deepcopy(model)


def resized(task: Task, scale: float, purpose: str) -> nn.Module:
    """A model for the task's rows that is ``scale`` times as deep and as wide as the main model.

    Our transformer, or the task's own network, whatever the main model is, with fresh weights that
    depend on the run's seed and ``purpose`` only, and without dropout.

    Raises:
        UserError: the main model does not tell its size.
    """
    seed = task.derived_seed(purpose)
    own = getattr(task.model, "resized", None)
    if own is not None:
        model: nn.Module = own(scale, seed)
        return model.to(task.device)
    size = getattr(task.model, "size", None)
    if size is None:
        raise UserError(
            f"{purpose}: scale {scale:g} needs a main model that tells its size, and "
            f"{type(task.model).__name__} does not: give 1, which takes a copy of it"
        )
    made = build_transformer(size.scaled(scale), task.vocabulary_size, task.width, seed)
    passes = passes_of(task.model).model_copy(update={"activation_checkpointing": False})
    set_passes(made, passes, task.device.type)
    return made.to(task.device)


def train(
    task: Task,
    model: nn.Module,
    batches: Callable[[int], Batch],
    steps: int,
    purpose: str,
    rate: float | None = None,
) -> None:
    """Train ``model`` on ``batches(step)`` as the main model is trained.

    ``rate`` is the peak learning rate (None: the main model's), reached after a tenth of the
    ``steps``. Dropout is a function of the run's seed, ``purpose`` and the step.

    Raises:
        FloatingPointError: the loss stopped being finite.
    """
    optimizer = task.optimizer(model.parameters())
    peak = task.peak_rate if rate is None else rate
    for step in range(steps):
        batch = batches(step)
        train_step(
            task, model, optimizer, batch, rate_at(task, step, steps, peak), f"{purpose} {step}"
        )


def train_step(
    task: Task,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    rate: float,
    purpose: str,
) -> None:
    """One step of ``model`` on ``batch`` at a learning ``rate``; its rows go on the bill.

    Dropout is a function of the run's seed and ``purpose``, which names the step too.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    fix_dropout(task, purpose)
    task.meter.count_examples(len(batch))
    with timed(OUTER_UPDATE):
        loss = update(model, optimizer, batch, rate).loss
    if not math.isfinite(loss):
        raise FloatingPointError(f"auxiliary model's loss is {loss} ({purpose})")


def fix_dropout(task: Task, purpose: str) -> None:
    """Make the dropout that follows a function of the run's seed and ``purpose``."""
    torch.manual_seed(task.derived_seed(purpose))


def rate_at(task: Task, step: int, steps: int, peak: float) -> float:
    """Learning rate of an auxiliary model: the main schedule, warm-up a tenth of its ``steps``."""
    return task.optimiser.rate_at(step, steps, peak, math.ceil(steps / 10))


@torch.no_grad()
def score(model: nn.Module, rows: Tensor) -> Tensor:
    """Per-example losses of ``rows`` ``[n, T]`` without dropout, in nats: ``[n]``."""
    training = model.training
    model.eval()
    with timed(SCORING):
        losses = torch.cat([per_example_loss(model, rows[p]) for p in scan_parts_of(model, rows)])
    model.train(training)
    return losses


def train_once(
    task: Task,
    name: str,
    depends_on: Mapping[str, Any],
    model: nn.Module,
    train_it: Callable[[], None],
) -> None:
    """Train ``model`` by ``train_it``, once: as of :meth:`benchmark.api.task.Task.once`."""

    def compute() -> dict[str, Tensor]:
        train_it()
        return model_state(model)

    load_model_state(model, task.once(name, depends_on, compute))


def scan(
    task: Task,
    name: str,
    depends_on: Mapping[str, Any],
    positions: np.ndarray,
    of_part: Callable[[np.ndarray], np.ndarray],
    *,
    rows_alone: bool = False,
) -> np.ndarray:
    """``of_part`` of each ``SCAN_ROWS`` of the generic ``positions`` ``[n]``, joined in order.

    Each part is computed once (:meth:`benchmark.api.task.Task.once`), so that a scan that was
    killed goes on where it was. ``depends_on`` tells scans of other positions apart.
    """
    starts = range(0, len(positions), SCAN_ROWS)
    parts = [
        task.once(
            name,
            {**depends_on, "start": start},
            partial(of_part, positions[start : start + SCAN_ROWS]),
            rows_alone=rows_alone,
        )
        for start in starts
    ]
    return np.concatenate(parts)


def map_generic(task: Task, of_batch: Callable[[Batch], np.ndarray]) -> np.ndarray:
    """``of_batch`` of every generic row in order, block by block: ``[len(generic), ...]``."""
    size = len(task.generic)
    parts = [
        of_batch(task.generic_rows(np.arange(start, min(start + BLOCK_ROWS, size))))
        for start in range(0, size, BLOCK_ROWS)
    ]
    return np.concatenate(parts)
