"""The optimiser and learning rates that every method shares."""

from __future__ import annotations

import math

import torch
from torch import nn

from benchmark.models.batch import Batch
from benchmark.models.losses import per_example_loss, token_share
from benchmark.models.parallel import (
    own_randomness,
    own_rows,
    own_weights,
    processes,
    sum_over_processes,
)


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


def update(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, rate: float) -> float:
    """One step on the batch's mean token loss, each token weighted as its example.

    Returns the loss before the step, in nats; nothing is changed if it is not finite. Processes
    that work together share the rows out.
    """
    shares = own_weights(token_share(batch.rows, batch.weights))
    with own_randomness():
        loss = shares @ per_example_loss(model, own_rows(batch.rows))
    value = sum_over_processes([loss.detach()])[0].item()
    if math.isfinite(value):
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss.backward()
        _sum_gradients(optimizer)
        optimizer.step()
    return value


def _sum_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Give each parameter the sum of the processes' gradients."""
    if processes() == 1:
        return
    trained = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    # A parameter that this process's rows do not touch may still have a gradient elsewhere.
    own = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    for parameter, total in zip(trained, sum_over_processes(own), strict=True):
        parameter.grad = total
