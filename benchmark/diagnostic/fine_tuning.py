"""Where a short fine-tuning on the target sample goes, and which rows go there too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api.auxiliary import twin
from benchmark.core.errors import UserError
from benchmark.core.randomness import EpochOrder, derived_key
from benchmark.diagnostic.alignment import with_displacement
from benchmark.diagnostic.directional import along
from benchmark.diagnostic.measures import Array
from benchmark.diagnostic.settings import Mode, Normalisation
from benchmark.models.batch import Batch
from benchmark.models.influence import Direction, dot, parameters_of, step_along
from benchmark.models.losses import token_share
from benchmark.models.optimisation import build_optimizer, update
from benchmark.models.protocol import PAPER, OptimiserConfig, warmed_up
from benchmark.study.budget import FineTuningConfig


@dataclass(frozen=True)
class Displaced:
    """Agreement ``[m]`` of rows with a fine-tuning, in units of its length; how it was computed."""

    agreement: Array
    mode: Mode


def short_fine_tuning(
    model: nn.Module,
    sample: Tensor,
    config: FineTuningConfig,
    *,
    steps: int,
    size: int,
    seed: int,
    optimiser: OptimiserConfig = PAPER,
) -> Direction:
    """The change of parameters by ``steps`` of fine-tuning on batches of ``size`` sample rows.

    As runs do it: a fresh AdamW, the study's rate and warm-up. ``model`` is left as it is.

    Raises:
        UserError: the loss stopped being finite.
    """
    tuned = twin(model)
    optimizer = build_optimizer(tuned.parameters(), optimiser)
    order = EpochOrder(len(sample), seed, "diagnosis fine-tuning")
    for step in range(steps):
        chosen = torch.from_numpy(order.items(step * size, size)).to(sample.device)
        batch = Batch(sample[chosen], np.full(size, -1))
        torch.manual_seed(derived_key(seed, "diagnosis fine-tuning", step))
        loss = update(tuned, optimizer, batch, warmed_up(step, config.rate, config.warmup)).loss
        if not math.isfinite(loss):
            raise UserError(
                f"fine_tuning.rate: the loss is {loss} at step {step} of the diagnosis' short "
                f"fine-tuning; lower the rate (got {config.rate})"
            )
    return step_along(parameters_of(tuned), parameters_of(model), -1.0)


def agreement(
    model: nn.Module, rows: Tensor, displacement: Direction, normalisation: Normalisation
) -> Displaced:
    """How far a descent step on each row ``[m, T]`` would go along ``displacement``: ``[m]``.

    ``-<g_i, d> / |d|``; normalised as ``reference``, times the row's share of tokens relative to
    the mean row's.
    """
    products, mode = along(model, rows, displacement)
    norm = dot(displacement, displacement).sqrt()
    shares = token_share(rows) * len(rows)
    if normalisation == "cosine":
        shares = torch.ones_like(shares)
    return Displaced(with_displacement(products, shares, norm).double().cpu().numpy(), mode)
