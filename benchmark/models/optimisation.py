"""The optimiser and learning rates that every method shares."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.models.batch import Batch
from benchmark.models.losses import per_example_loss, token_share
from benchmark.models.parallel import (
    gather_rows,
    own_randomness,
    own_rows,
    own_weights,
    processes,
    sum_over_processes,
)
from benchmark.models.recording import Recording
from benchmark.models.row_gradients import RowGradients


def build_optimizer(parameters: list[nn.Parameter]) -> torch.optim.AdamW:
    """AdamW as in the paper: betas .9 and .98, eps 1e-9, no decay; its rate is set each step."""
    return torch.optim.AdamW(
        parameters, lr=0.0, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.0, fused=True
    )


def inverse_square_root(step: int, peak: float, warmup: int) -> float:
    """The paper's rate: linear from 0 at step 0 to ``peak``, then falling with 1 / sqrt(step)."""
    return peak * step / warmup if step < warmup else peak * math.sqrt(warmup / step)


def warmed_up(step: int, peak: float, warmup: int) -> float:
    """The fine-tuning rate: linear over ``warmup`` steps to a constant ``peak``."""
    return peak * min(1.0, (step + 1) / warmup)


@dataclass(frozen=True)
class Update:
    """What came of a step: ``loss`` is that of the batch before it, ``losses`` ``[n]`` its rows'.

    ``gradients``: of the rows, as the step took them (with its dropout), where the batch asked.
    """

    loss: float
    losses: Tensor
    gradients: RowGradients | None = None


def update(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, rate: float) -> Update:
    """One step on the batch's mean token loss, each token weighted as its example.

    Nothing is changed if the loss is not finite. Processes that work together share the rows out.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    known = batch.gradients
    if known is not None and known.serves_update(model):
        return _known_update(model, optimizer, known, token_share(batch.rows, batch.weights))
    rows, shares = own_rows(batch.rows), own_weights(token_share(batch.rows, batch.weights))
    kept = {} if batch.keep is None else dict(model.named_parameters())
    record = Recording({name: kept[name] for name in batch.keep or ()}, rows)
    with own_randomness(), record if batch.keep else nullcontext():
        each = per_example_loss(model, rows)
    loss = shares @ each
    value = sum_over_processes([loss.detach()])[0].item()
    gradients = None
    if math.isfinite(value):
        optimizer.zero_grad()
        for operation in record.operations:
            operation.output.retain_grad()
        loss.backward()
        if batch.keep:
            gradients = RowGradients.of_pass(model, batch.rows, record.operations, shares)
        _sum_gradients(optimizer)
        optimizer.step()
    return Update(value, gather_rows(each.detach(), len(batch)), gradients)


def _known_update(
    model: nn.Module, optimizer: torch.optim.Optimizer, known: RowGradients, shares: Tensor
) -> Update:
    """A step along the gradients that the method has taken already."""
    value = float(shares @ known.losses)
    if math.isfinite(value):
        parameters = dict(model.named_parameters())
        for name, gradient in known.combined(shares).items():
            parameters[name].grad = gradient
        optimizer.step()
    return Update(value, known.losses, known)


def _sum_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Give each parameter the sum of the processes' gradients."""
    if processes() == 1:
        return
    trained = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    # A parameter that this process's rows do not touch may still have a gradient elsewhere.
    own = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    for parameter, total in zip(trained, sum_over_processes(own), strict=True):
        parameter.grad = total
