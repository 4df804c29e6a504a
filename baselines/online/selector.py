"""The online bilevel selector: what DDS, SOBA and ANOGRAD have in common.

Each step, a weight network scores a big generic batch, a few rows are drawn by their weight and
the main model trains on them, unweighted. The network itself learns from how much each row of a
sub-batch would help the target: the influence of the row along a direction ``u``. The methods
differ in ``u``, in the sub-batch and in how scores become weights.

Source: arXiv 2311.11973, section 3 and its public code (defaults; order of the updates: the
network first, then the main model, the reverse of the paper's algorithm 1).
More: docs/methods/dds.md, docs/methods/soba.md, docs/methods/anograd.md
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.online.weight_network import (
    SMALL_NETWORK,
    NetworkConfig,
    build_network,
    draw_without_replacement,
    example_probability,
)
from benchmark.api import (
    WEIGHTS_ENTROPY,
    Batch,
    DownsamplingHyperparameters,
    LogUniform,
    OnlineSelector,
    Task,
    influence,
)


class SelectorHyperparameters(DownsamplingHyperparameters):
    """Settings of every bilevel selector; defaults are those of the published runs."""

    for_checks = SMALL_NETWORK

    network: NetworkConfig = NetworkConfig()
    """The network that weighs rows."""

    network_rate: Annotated[float, Field(gt=0, lt=1), LogUniform(3e-4, 3e-2)] = 1e-3
    """Learning rate of Adam for the network."""

    update_every: Annotated[int, Field(ge=1)] = 1
    """Steps from one update of the network to the next."""

    def phase(self, step: int, steps: int) -> str:  # noqa: ARG002
        return "draw" if step % self.update_every else "learn"


class BilevelSelector(OnlineSelector):
    """One step: score, learn, draw."""

    Hyperparameters = SelectorHyperparameters
    state: ClassVar[tuple[str, ...]] = ("network", "optimizer")

    def __init__(self, task: Task, hyperparameters: SelectorHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        seed = task.derived_seed("weight network")
        self.network = build_network(hyperparameters.network, task.vocabulary_size, seed)
        self.network.to(task.device)
        self.optimizer = torch.optim.Adam(self.learned(), lr=hyperparameters.network_rate)
        self._figures: dict[str, float] = {}

    def learned(self) -> list[nn.Parameter]:
        """What the outer update trains."""
        return list(self.network.parameters())

    def batch(self, step: int) -> Batch:
        big = self.task.big_batch(step, self.hyperparameters.downsampling)
        with torch.no_grad():
            probability = example_probability(self.network(big.rows), big.rows)
        chosen = self.draw(step, probability)
        if step % self.hyperparameters.update_every == 0:
            self.learn(step, big, chosen)
        entropy = -(probability * probability.clamp(min=1e-30).log()).sum()
        self._figures[WEIGHTS_ENTROPY] = float(entropy)
        return big.take(chosen)

    def draw(self, step: int, probability: Tensor) -> Tensor:
        """The rows of the big batch to train on: ``[N] -> [n]`` indices."""
        noise = self.task.gumbel(step, "selection", len(probability))
        return draw_without_replacement(probability, self.task.batch_size, noise)

    def sub_batch(self, step: int, big: Batch, chosen: Tensor) -> Tensor:  # noqa: ARG002
        """The rows of the big batch that the outer update looks at: a uniform subset."""
        return self.task.uniform_subset(step, "sub-batch", len(big), self.task.batch_size)

    def learn(self, step: int, big: Batch, chosen: Tensor) -> None:
        """One update of the weight network."""
        rows = big.rows[self.sub_batch(step, big, chosen)]
        target = self.task.target_batch(step, stream="outer").rows
        gradients = self.outer_gradient(step, rows, target)
        for parameter, gradient in zip(self.learned(), gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()

    def outer_gradient(self, step: int, rows: Tensor, target: Tensor) -> list[Tensor]:
        """Gradient of the outer objective with respect to :meth:`learned`.

        The influences of ``rows`` ``[n, T]`` along ``u`` are the cotangent that the network's
        weights are pulled back with; ``target`` ``[m, T]`` are rows of the target sample.
        """
        weights = self.weigh(rows)
        direction, scale = self.direction(step, rows, weights.detach(), target)
        pulls = influence(self.task.model, rows, direction) * scale
        self._figures["outer_gradient_pull"] = float((weights.detach() * pulls).sum())
        return list(torch.autograd.grad(weights, self.learned(), grad_outputs=pulls))

    def weigh(self, rows: Tensor) -> Tensor:
        """Weights of the examples in the inner loss, with a graph: ``[n, T] -> [n]``."""
        return example_probability(self.network(rows), rows)

    @abstractmethod
    def direction(
        self, step: int, rows: Tensor, weights: Tensor, target: Tensor
    ) -> tuple[Mapping[str, Tensor], float]:
        """The direction ``u`` in parameter space, and a factor on the influences along it."""

    def observe(self, step: int) -> Mapping[str, float]:  # noqa: ARG002
        return dict(self._figures)
