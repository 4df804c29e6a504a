"""DGA: a domain mixture that follows the main model's gradients while it trains.

What: every so many steps each domain is scored by the inner product of its gradient with the
target's, on the main model itself; the weights follow the scores, and an exponential average of
them is the mixture that is trained on.
Source: arXiv 2410.02498: a = softmax(log a + eta <g_d, g_target>), with g_d of a batch of each
domain; mixture <- (1 - b) mixture + b a. Here the product is divided by |g_target|^2 (ours).
Defaults: a uniform start, b 0.1, an update every 100 steps (the paper's, but not checked: see the
page); step sizes sum to 30 over the run (ours).
Charged for: per update a target gradient, and a forward-mode pass over a batch of each domain.
More: docs/methods/dga.md
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from scipy.special import log_softmax
from torch import Tensor, nn

from baselines.mixtures.grouped import GroupedHyperparameters, GroupedMixture
from baselines.mixtures.proxy_mixture import domain_means
from benchmark.api import (
    SCORING,
    Batch,
    Choice,
    LogUniform,
    Task,
    dot,
    gradient,
    influence,
    timed,
    token_counts,
    token_share,
)


class DgaHyperparameters(GroupedHyperparameters):
    """Settings of DGA."""

    for_checks: ClassVar[Mapping[str, Any]] = {"update_every": 3}

    update_every: Annotated[int, Field(ge=1), Choice((10, 30, 100))] = 100
    """Steps from one update of the weights to the next; the first is at the first step."""

    domain_rows: Annotated[int | None, Field(ge=1)] = None
    """Rows drawn from each domain at an update; None: a batch."""

    movement: Annotated[float, Field(gt=0, allow_inf_nan=False), LogUniform(1.0, 300.0)] = 30.0
    """Sum of the updates' step sizes eta over the run: how far the weights may go, whatever the
    number of steps.
    """

    renewal: Annotated[float, Field(gt=0, le=1), Choice((0.1, 0.3, 1.0))] = 0.1
    """Share b of the mixture that an update replaces; 1: no average."""

    def phase(self, step: int, steps: int) -> str:  # noqa: ARG002
        return "plain" if step % self.update_every else "update"


class Dga(GroupedMixture):
    """Dynamic gradient alignment."""

    name = "dga"
    summary = "domain mixture: alignment of the domains' gradients with the target's, online"
    style = ("#CC79A7", "s", "-")
    Hyperparameters = DgaHyperparameters
    state = (*GroupedMixture.state, "log_weights")

    def __init__(self, task: Task, hyperparameters: DgaHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        self.eta = hyperparameters.movement / math.ceil(task.steps / hyperparameters.update_every)
        self.log_weights = np.empty(0)

    def find_weights(self) -> np.ndarray:
        count = len(self.domains.names)
        self.log_weights = np.full(count, -np.log(count))
        return np.exp(self.log_weights)

    def batch(self, step: int) -> Batch:
        if self.hyperparameters.phase(step, self.task.steps) == "update":
            with timed(SCORING):
                self.log_weights = log_softmax(self.log_weights + self.eta * self.scores(step))
            renewal = self.hyperparameters.renewal
            self.weights = (1 - renewal) * self.weights + renewal * np.exp(self.log_weights)
        return super().batch(step)

    def scores(self, step: int) -> np.ndarray:
        """Alignment ``[k]`` of each domain's gradient with the target's."""
        rows = self.hyperparameters.domain_rows or self.task.batch_size
        rng = self.task.rng(step, "dga domains")
        each = np.eye(len(self.domains.names))
        drawn = np.concatenate([self.domains.draw(one, rows, rng) for one in each])
        batch, target = self.task.generic_rows(drawn), self.task.target_batch(step, stream="dga")
        return alignments(
            self.task.model, batch.rows, self.domains.labels[drawn], target.rows, len(each)
        )


def alignments(
    model: nn.Module, rows: Tensor, labels: np.ndarray, target: Tensor, count: int
) -> np.ndarray:
    """``<g_d, g_target> / |g_target|^2`` ``[count]``, gradients of mean token losses.

    ``labels`` ``[n]`` number the domains of ``rows`` ``[n, T]``, each of which has a row. A
    domain's gradient is the mean of its rows', so that one forward-mode pass finds all products.
    """
    _, toward = gradient(model, target, token_share(target))
    found = domain_means(
        influence(model, rows, toward), token_counts(rows), labels, np.zeros(count)
    )
    return found / float(dot(toward, toward))
