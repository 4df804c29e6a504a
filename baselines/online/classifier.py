"""Classifier: the paper's online target-against-generic classifier.

What: a small network learns, while the main model trains, to tell target rows from generic ones;
each step trains on the rows of the big batch that it finds most like the target.
Source: arXiv 2311.11973 ("classifier" baseline, public code): logistic loss, both classes weighted
equally, the big batch as the generic class; the top batch-size scores are kept, so the fraction
kept is 1 / downsampling (published: mostly 1/256).
Defaults: Adam 1e-3, convolution 128 x 7, update every step (public code).
Charged for: scoring the big batch and the network's own training on it.
More: docs/methods/classifier.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from baselines.online.weight_network import SMALL_NETWORK, NetworkConfig, build_network
from benchmark.api import (
    OUTER_UPDATE,
    SCORING,
    Baseline,
    Batch,
    Choice,
    Downsampling,
    DownsamplingHyperparameters,
    LogUniform,
    Task,
    timed,
)


class ClassifierHyperparameters(DownsamplingHyperparameters):
    """Settings of the online classifier."""

    for_checks = SMALL_NETWORK

    downsampling: Annotated[Downsampling, Choice((8, 16, 32, 64, 128, 256))] = None
    """Rows scored for each row trained on; None: the whole big batch that the study offers."""

    network: NetworkConfig = NetworkConfig()
    """The network that scores rows."""

    network_rate: Annotated[float, Field(gt=0, lt=1), LogUniform(3e-4, 3e-2)] = 1e-3
    """Learning rate of Adam for the network."""

    def reads(self) -> frozenset[str]:
        return self.network.reads()


class Classifier(Baseline):
    """Top fraction of an online classifier."""

    name = "classifier"
    summary = "top fraction of a target-against-generic classifier trained online"
    revision = 2
    chooses_by = "classifier"
    style = ("#D55E00", "v", "-")
    Hyperparameters = ClassifierHyperparameters
    state = ("network", "optimizer")

    def __init__(self, task: Task, hyperparameters: ClassifierHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        seed = task.derived_seed("weight network")
        self.network = build_network(
            hyperparameters.network, task.vocabulary_size, seed, task.image
        )
        self.network.to(task.device)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=hyperparameters.network_rate
        )
        self._loss = torch.zeros(())

    def batch(self, step: int) -> Batch:
        big = self.task.big_batch(step, self.hyperparameters.downsampling)
        target = self.task.target_batch(step, stream="outer").rows
        with timed(SCORING):
            scores = self.network(big.rows)
        with timed(OUTER_UPDATE):
            loss = classification_loss(scores, self.network(target))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self._loss = loss.detach()
        return big.take(torch.topk(scores.detach(), self.task.batch_size).indices)

    def observe(self, step: int) -> Mapping[str, float | Tensor]:  # noqa: ARG002
        return {"classifier_loss": self._loss}


def classification_loss(generic_scores: Tensor, target_scores: Tensor) -> Tensor:
    """Logistic loss in nats, both classes weighted equally; scores are logits of "target"."""
    return 0.5 * F.softplus(generic_scores).mean() + 0.5 * F.softplus(-target_scores).mean()
