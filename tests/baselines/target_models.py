"""Training of small models as the methods that score by them ought to do it, written out."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from benchmark.api.auxiliary import fix_dropout, resized
from benchmark.api.task import Task
from benchmark.models.batch import Batch
from benchmark.models.optimisation import build_optimizer, update
from benchmark.models.protocol import inverse_square_root


def by_hand(
    task: Task, *, scale: float, prior: int, adaptation: int, factor: float
) -> tuple[nn.Module, nn.Module]:
    """A prior after so many steps, and its copy after so many on the target sample."""
    models = []
    for steps in (0, adaptation):
        model = resized(task, scale, "prior").eval()
        _train(task, model, task.generic_batch, prior, task.peak_rate)
        _train(
            task,
            model,
            lambda step: task.target_batch(step, stream="adaptation"),
            steps,
            factor * task.peak_rate,
        )
        models.append(model)
    return models[0], models[1]


def _train(
    task: Task, model: nn.Module, batches: Callable[[int], Batch], steps: int, peak: float
) -> None:
    optimizer = build_optimizer(list(model.parameters()))
    for step in range(steps):
        fix_dropout(task, "none of these models has any")
        update(model, optimizer, batches(step), inverse_square_root(step, peak, -(-steps // 10)))
