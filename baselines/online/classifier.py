"""Classifier: the paper's online target-against-generic classifier.

What: a small network learns, while the main model trains, to tell target rows from generic ones;
each step trains on the rows of the big batch that it finds most like the target.
Source: arXiv 2311.11973 ("classifier" baseline, public code): logistic loss, both classes weighted
equally, the big batch as the generic class; the top batch-size scores are kept, so the fraction
kept is 1 / downsampling (published: mostly 1/256).
Defaults: Adam 1e-3, convolution 128 x 7, update every step (public code).
Charged for: scoring the big batch and the network's own training on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from baselines.online.weight_network import SMALL_NETWORK, NetworkConfig, build_network
from benchmark.api.baseline import Baseline, Choice, Hyperparameters, LogUniform
from benchmark.api.cost import RowFlops
from benchmark.api.task import Task
from benchmark.models.batch import Batch


class ClassifierHyperparameters(Hyperparameters):
    """Settings of the online classifier."""

    downsampling: Annotated[int | None, Field(ge=2, le=1024), Choice((8, 16, 32))] = None
    """Rows scored for each row trained on; None: the whole big batch that the study offers."""

    network: NetworkConfig = NetworkConfig()
    network_rate: Annotated[float, Field(gt=0, lt=1), LogUniform(3e-4, 3e-2)] = 1e-3


class Classifier(Baseline):
    """Top fraction of an online classifier."""

    name = "classifier"
    summary = "top fraction of a target-against-generic classifier trained online"
    Hyperparameters = ClassifierHyperparameters
    check_settings: ClassVar[Mapping[str, Any]] = SMALL_NETWORK

    def __init__(self, task: Task, hyperparameters: ClassifierHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        seed = task.derived_seed("weight network")
        self.network = build_network(hyperparameters.network, task.vocabulary_size, seed)
        self.network.to(task.device)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=hyperparameters.network_rate
        )
        self._loss = 0.0

    def batch(self, step: int) -> Batch:
        big = self.task.big_batch(step, self.hyperparameters.downsampling)
        target = self.task.target_batch(step, stream="outer").rows
        scores = self.network(big.rows)
        loss = classification_loss(scores, self.network(target))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self._loss = float(loss.detach())
        return big.take(torch.topk(scores.detach(), self.task.batch_size).indices)

    def observe(self, step: int) -> Mapping[str, float]:  # noqa: ARG002
        return {"classifier_loss": self._loss}

    def selection_flops(self, row: RowFlops) -> float:
        rows = self.task.rows_offered(self.hyperparameters.downsampling) + self.task.batch_size
        return self.task.steps * rows * 3 * self.network.row_flops(row.tokens)

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def classification_loss(generic_scores: Tensor, target_scores: Tensor) -> Tensor:
    """Logistic loss in nats, both classes weighted equally; scores are logits of "target"."""
    return 0.5 * F.softplus(generic_scores).mean() + 0.5 * F.softplus(-target_scores).mean()
