"""The optimiser that every method shares, and its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
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
from benchmark.models.passes import parts_of
from benchmark.models.protocol import PAPER, OptimiserConfig
from benchmark.models.recording import Recording
from benchmark.models.row_gradients import RowGradients


class MainAdamW(torch.optim.AdamW):
    """AdamW that scales gradients down before each step, where a study asks for it."""

    def __init__(self, parameters: Iterable[Tensor], config: OptimiserConfig) -> None:
        super().__init__(
            parameters,
            lr=0.0,
            betas=config.betas,
            eps=config.eps,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.clip_norm = config.clip_norm

    def step(self, closure: Any = None) -> Any:
        """One step at the learning rate of each group."""
        if self.clip_norm is not None:
            trained = [p for group in self.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(trained, self.clip_norm)
        return super().step(closure)


def build_optimizer(
    parameters: Iterable[Tensor], config: OptimiserConfig = PAPER
) -> torch.optim.AdamW:
    """AdamW as ``config`` says, by default the paper's; its rate is set each step."""
    return MainAdamW(parameters, config)


@dataclass(frozen=True)
class Update:
    """What came of a step: ``value`` is the loss of the batch before it, on its device.

    ``own_losses``: of the rows of this process. ``gradients``: of the rows, as the step took them
    (with its dropout), where the batch asked.
    """

    value: Tensor
    rows: int
    own_losses: Tensor
    gradients: RowGradients | None = None

    @property
    def loss(self) -> float:
        """The loss of the batch before the step; asking waits for the device."""
        return float(self.value)

    @property
    def losses(self) -> Tensor:
        """The losses of all rows before the step ``[n]``, gathered from the processes."""
        return gather_rows(self.own_losses, self.rows)


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    rate: float,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Update:
    """One step on the batch's mean token loss, each token weighted as its example.

    ``forward``: the model in another form, such as compiled; None: the model itself. Nothing is
    changed if the loss is not finite. Processes that work together share the rows out.
    """
    known = batch.gradients
    if known is not None and known.serves_update(model):
        return _known_update(model, optimizer, batch, known, rate)
    rows, shares = own_rows(batch.rows), own_weights(token_share(batch.rows, batch.weights))
    parts = parts_of(model, rows)
    if batch.keep and len(parts) > 1:
        raise UserError(
            f"training.micro_batch: {len(rows)} rows in {len(parts)} passes leave no gradients of "
            "rows to learn from: set from_update to false, or leave micro_batch out"
        )
    optimizer.zero_grad()
    passed = [
        _pass(model if forward is None else forward, model, batch, rows[p], shares[p])
        for p in parts
    ]
    each, gradients = torch.cat([losses for losses, _ in passed]), passed[-1][1]
    value = sum_over_processes([shares @ each])[0]
    _sum_gradients(optimizer)
    _step(optimizer, rate, value)
    return Update(value, len(batch), each, gradients)


def _pass(
    forward: Callable[[Tensor], Tensor],
    model: nn.Module,
    batch: Batch,
    rows: Tensor,
    shares: Tensor,
) -> tuple[Tensor, RowGradients | None]:
    """The losses of some rows, their part of the gradient added to that of each parameter."""
    kept = {} if batch.keep is None else dict(model.named_parameters())
    record = Recording({name: kept[name] for name in batch.keep or ()}, rows)
    with own_randomness(), record if batch.keep else nullcontext():
        each = per_example_loss(model if batch.keep else forward, rows)
    for output in record.outputs:
        output.retain_grad()
    (shares @ each).backward()
    gradients = None
    if batch.keep:
        gradients = RowGradients.of_pass(model, batch.rows, batch.keep, record, shares)
    return each.detach(), gradients


def _known_update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    known: RowGradients,
    rate: float,
) -> Update:
    """A step along the gradients that the method has taken already."""
    shares = token_share(batch.rows, batch.weights)
    value = shares @ known.losses
    parameters = dict(model.named_parameters())
    for name, gradient in known.combined(shares).items():
        parameters[name].grad = gradient
    _step(optimizer, rate, value)
    return Update(value, len(batch), own_rows(known.losses))


def _step(optimizer: torch.optim.Optimizer, rate: float, loss: Tensor) -> None:
    """A step, which the device leaves out if the loss is not finite: nobody here waits for it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    # Fused optimisers of torch read it, as for scaled gradients.
    optimizer.found_inf = (~torch.isfinite(loss)).float()  # type: ignore[attr-defined]
    optimizer.step()
    del optimizer.found_inf  # type: ignore[attr-defined]


def _sum_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Give each parameter the sum of the processes' gradients."""
    if processes() == 1:
        return
    trained = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    # A parameter that this process's rows do not touch may still have a gradient elsewhere.
    own = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    for parameter, total in zip(trained, sum_over_processes(own), strict=True):
        parameter.grad = total
