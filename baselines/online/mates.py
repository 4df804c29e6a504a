"""MATES: rows are drawn by what a network foretells a step on each would do for the target.

What: each stage of training but the first, plain pretraining, begins by probing how much a step on
each of some generic rows alone lowers the target loss; the network learns to tell it from the row.
Source: arXiv 2406.06046 and public code (cxcscmu/MATES). There an Adam step is taken and BERT
predicts; here it is the rate of a plain step, <g_i, s>, and a network without pretraining.
Defaults: 5 stages, an eighth as many rows probed as trained on, a fifth of the rows kept,
temperature .5, 5 epochs, batches of 32 (public code); network and rate of DDS (ours).
Charged for: at each refresh, the target gradient, a forward-mode pass over the rows probed and the
fit; then the network's scores of rows offered.
More: docs/methods/mates.md
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from baselines.online.draw import draw_without_replacement
from baselines.online.weight_network import SMALL_NETWORK, NetworkConfig, build_network
from benchmark.api import (
    OUTER_UPDATE,
    PRETRAINING,
    SCORING,
    Batch,
    Choice,
    Direction,
    Downsampling,
    DownsamplingHyperparameters,
    LogUniform,
    OnlineSelector,
    Task,
    UserError,
    gradient,
    influence,
    timed,
)

EPOCHS, FIT_BATCH, DECAY = 5, 32, 0.01
FEWEST_PROBED = 20


class MatesHyperparameters(DownsamplingHyperparameters):
    """Settings of MATES."""

    for_checks: ClassVar[Mapping[str, Any]] = {**SMALL_NETWORK, "stages": 3}

    stages: Annotated[int, Field(ge=2)] = 5
    """Stages of equal length, the first of them plain pretraining."""

    probed_share: Annotated[float, Field(gt=0, le=1), Choice((1 / 32, 1 / 8, 1 / 2))] = 1 / 8
    """Rows probed at a refresh, as a share of the rows trained on in a stage; at least 20 rows."""

    downsampling: Annotated[Downsampling, Choice((5, 16, 64))] = 5
    """Rows offered for each row trained on; None: the whole big batch that the study offers."""

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False), Choice((0.1, 0.5, 2.0))] = 0.5
    """Rows are drawn by the exponential of predictions over it; predictions have a deviation of 1
    at most.
    """

    network: NetworkConfig = NetworkConfig()
    """The network that predicts."""

    network_rate: Annotated[float, Field(gt=0, lt=1), LogUniform(3e-4, 3e-2)] = 1e-3
    """Learning rate of Adam for the network."""

    def reads(self) -> frozenset[str]:
        return self.network.reads()

    def stage_steps(self, steps: int) -> int:
        """Steps of a stage of a run of ``steps``, but for the last, which has what is left."""
        return -(-steps // self.stages)

    def phase(self, step: int, steps: int) -> str:
        length = self.stage_steps(steps)
        return PRETRAINING if step < length else "draw" if step % length else "refresh"


class Mates(OnlineSelector):
    """Rows by the influence that a network predicts, probed anew at each stage."""

    name = "mates"
    summary = "rows by a network that regresses probed influence, refreshed as training goes"
    style = ("#CC79A7", "h", "-.")
    Hyperparameters = MatesHyperparameters
    state = ("network", "agreement")

    def __init__(self, task: Task, hyperparameters: MatesHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        length = hyperparameters.stage_steps(task.steps)
        if length >= task.steps:
            raise UserError(
                f"mates: stages {hyperparameters.stages} leave no step after the first stage of "
                f"a run of {task.steps} steps: raise steps"
            )
        share = round(hyperparameters.probed_share * length * task.batch_size)
        self._probed = min(max(FEWEST_PROBED, share), len(task.generic))
        self.agreement: float | None = None

    @cached_property
    def network(self) -> nn.Module:
        """The network that predicts, made when first asked for."""
        config, task = self.hyperparameters.network, self.task
        seed = task.derived_seed("influence network")
        return build_network(config, task.vocabulary_size, seed, task.image).to(task.device)

    def batch(self, step: int) -> Batch:
        settings = self.hyperparameters
        phase = settings.phase(step, self.task.steps)
        if phase == PRETRAINING:
            return self.task.generic_batch(step)
        if phase == "refresh":
            self.refresh(step)
        big = self.task.big_batch(step, settings.downsampling)
        with torch.no_grad(), timed(SCORING):
            predicted = self.network(big.rows)
        noise = self.task.gumbel(step, "mates draw", len(big))
        size = self.task.batch_size
        return big.take(draw_without_replacement(predicted / settings.temperature, size, noise))

    @timed(OUTER_UPDATE)
    def refresh(self, step: int) -> None:
        """Probe rows on the main model as it is, and fit the network to what was found."""
        rng = self.task.rng(step, "mates probe")
        positions = rng.choice(len(self.task.generic), self._probed, replace=False)
        rows = self.task.generic_rows(positions).rows
        rate = self.hyperparameters.network_rate
        self.agreement = fit(self.network, rows, self.probe(rows), rate, rng)

    def probe(self, rows: Tensor) -> Tensor:
        """How fast a plain step on each of ``rows`` ``[n, T]`` lowers the target loss: ``[n]``."""
        model = self.task.model
        toward = mean_gradient(model, self.task.target_sample())
        return influence(model, rows, toward)

    def observe(self, step: int) -> Mapping[str, float]:  # noqa: ARG002
        return {} if self.agreement is None else {"influence_agreement": self.agreement}


def mean_gradient(model: nn.Module, rows: Tensor) -> Direction:
    """Gradient of the mean of the losses of ``rows`` ``[n, T]``."""
    return gradient(model, rows, torch.full((len(rows),), 1 / len(rows), device=rows.device))[1]


def fit(
    network: nn.Module, rows: Tensor, values: Tensor, rate: float, rng: np.random.Generator
) -> float:
    """Regress ``values`` ``[n]``, standardised, on ``rows`` ``[n, T]``; leaves the best epoch.

    That of the highest rank correlation on a tenth of the rows, which are not fitted; returns it.
    """
    count = len(rows) - max(2, len(rows) // 10)
    std, mean = torch.std_mean(values[:count])
    wanted = (values - mean) / std.clamp(min=torch.finfo(values.dtype).tiny)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=DECAY)
    best, agreement = copy.deepcopy(network.state_dict()), -np.inf
    for _ in range(EPOCHS):
        for chosen in torch.from_numpy(rng.permutation(count)).to(rows.device).split(FIT_BATCH):
            loss = F.mse_loss(network(rows[chosen]), wanted[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            found = rank_correlation(network(rows[count:]), wanted[count:])
        if found > agreement:
            best, agreement = copy.deepcopy(network.state_dict()), found
    network.load_state_dict(best)
    return agreement


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's, of two vectors without ties."""
    ranks = torch.stack([each.argsort().argsort() for each in (a, b)])
    return float(torch.corrcoef(ranks.to(torch.get_default_dtype()))[0, 1])
