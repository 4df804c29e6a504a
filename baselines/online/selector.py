"""The online bilevel selector: what DDS, SOBA and ANOGRAD have in common.

Each step, a weight network scores a big generic batch, a few rows are drawn by their weight and
the main model trains on them, unweighted. The network itself learns from how much each row of a
sub-batch would help the target: the influence of the row along a direction ``u``. The methods
differ in ``u``, in the sub-batch and in how scores become weights.

Source: arXiv 2311.11973, section 3 and its public code (defaults; order of the updates: the
network first, then the main model, the reverse of the paper's algorithm 1).
More: docs/online-selectors.md
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.online.draw import draw_without_replacement, entropy, flattened
from baselines.online.weight_network import (
    SMALL_NETWORK,
    NetworkConfig,
    build_network,
    example_log_probability,
)
from benchmark.api import (
    OUTER_UPDATE,
    SCORING,
    WEIGHTS_ENTROPY,
    Batch,
    Choice,
    DownsamplingHyperparameters,
    LogUniform,
    OnlineSelector,
    RowGradients,
    Task,
    UserError,
    parameters_in,
    recordable,
    timed,
)

Rows = Annotated[int | None, Field(ge=1)]


class SelectorHyperparameters(DownsamplingHyperparameters):
    """Settings of every bilevel selector; defaults are those of the published runs."""

    for_checks = SMALL_NETWORK

    network: NetworkConfig = NetworkConfig()
    """The network that weighs rows."""

    network_rate: Annotated[float, Field(gt=0, lt=1), LogUniform(3e-4, 3e-2)] = 1e-3
    """Learning rate of Adam for the network."""

    update_every: Annotated[int, Field(ge=1)] = 1
    """Steps from one update of the network to the next."""

    effective_rows: Annotated[float, Field(ge=0), Choice((0.0, 1.0, 2.0))] = 0.0
    """Least effective number of rows of the draw, in batches: sharper weights are flattened for it;
    0: no least.
    """

    target_rows: Rows = None
    """Target rows of an update of the network; None: a batch."""

    sub_batch_rows: Rows = None
    """Generic rows of an update of the network; None: a batch."""

    parts: tuple[str, ...] = ()
    """Beginnings of names of the main model's parameters that influences are restricted to; none:
    all of them.
    """

    from_update: bool = False
    """Take influences of the rows trained on from the main model's update, with its dropout, in
    place of a pass of their own over a sub-batch.
    """

    @model_validator(mode="after")
    def _says_which_rows(self) -> Self:
        if self.from_update and self.sub_batch_rows is not None:
            raise ValueError(
                f"sub_batch_rows: {self.sub_batch_rows} goes with a pass of the rows' own; with "
                "from_update the rows are those trained on: leave one of the two out"
            )
        return self

    def reads(self) -> frozenset[str]:
        return self.network.reads()

    def phase(self, step: int, steps: int) -> str:  # noqa: ARG002
        return "draw" if step % self.update_every else "learn"


class BilevelSelector(OnlineSelector):
    """One step: score, learn, draw."""

    Hyperparameters = SelectorHyperparameters
    revision = 2
    state: ClassVar[tuple[str, ...]] = ("network", "optimizer")

    def __init__(self, task: Task, hyperparameters: SelectorHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        seed = task.derived_seed("weight network")
        self.network = build_network(
            hyperparameters.network, task.vocabulary_size, seed, task.image
        )
        self.network.to(task.device)
        self.optimizer = torch.optim.Adam(self.learned(), lr=hyperparameters.network_rate)
        self.names = parameters_in(task.model, hyperparameters.parts)
        self._require_possible()
        self._figures: dict[str, float | Tensor] = {}

    def _require_possible(self) -> None:
        settings = self.hyperparameters
        if settings.from_update and not recordable(self.task.model):
            raise UserError(
                "from_update: the gradients of rows cannot be told from an update of this model: "
                "leave it false"
            )
        wanted = settings.sub_batch_rows
        if wanted is not None and wanted > (most := self.most_sub_batch_rows()):
            raise UserError(
                f"sub_batch_rows: {wanted} are more than the {most} rows that they are taken from"
            )
        if not settings.effective_rows:
            return
        most_batches = self.task.big_batch_rows(settings.downsampling) / self.task.batch_size
        if settings.effective_rows > most_batches:
            raise UserError(
                f"effective_rows: {settings.effective_rows:g} batches are more than the "
                f"{most_batches:g} offered"
            )

    def most_sub_batch_rows(self) -> int:
        """How many rows the outer update can look at."""
        return self.task.big_batch_rows(self.hyperparameters.downsampling)

    def learned(self) -> list[nn.Parameter]:
        """What the outer update trains."""
        return list(self.network.parameters())

    def batch(self, step: int) -> Batch:
        settings = self.hyperparameters
        big = self.task.big_batch(step, settings.downsampling)
        with torch.no_grad(), timed(SCORING):
            log_weights = self.draw_weights(big.rows)
        self._figures[WEIGHTS_ENTROPY] = entropy(log_weights)
        chosen = self.draw(step, log_weights)
        if not self.learns_at(step):
            return big.take(chosen)
        if settings.from_update:
            return replace(big.take(chosen), keep=self.names)
        looked_at = self.sub_batch(step, big, chosen)
        generic = RowGradients(self.task.model, big.rows[looked_at], self.names)
        self.learn(step, generic)
        return replace(big.take(chosen), gradients=generic if looked_at is chosen else None)

    def learns_at(self, step: int) -> bool:
        """Whether the network is updated at ``step``."""
        every: int = self.hyperparameters.update_every
        return step % every == 0

    def draw_weights(self, rows: Tensor) -> Tensor:
        """Logarithms of the weights that rows are drawn by: ``[N, T] -> [N]``."""
        least = self.hyperparameters.effective_rows * self.task.batch_size
        return flattened(example_log_probability(self.network(rows), rows), least)

    def draw(self, step: int, log_weights: Tensor) -> Tensor:
        """The rows of the big batch to train on: ``[N] -> [n]`` indices."""
        noise = self.task.gumbel(step, "selection", len(log_weights))
        return draw_without_replacement(log_weights, self.task.batch_size, noise)

    def sub_batch(self, step: int, big: Batch, chosen: Tensor) -> Tensor:  # noqa: ARG002
        """The rows of the big batch that the outer update looks at: a uniform subset.

        ``chosen`` itself where they are the rows trained on.
        """
        count = self.hyperparameters.sub_batch_rows or self.task.batch_size
        return self.task.uniform_subset(step, "sub-batch", len(big), count)

    def observe(self, step: int) -> Mapping[str, float | Tensor]:
        if self.hyperparameters.from_update and self.learns_at(step):
            update = self.task.last_update
            assert update is not None
            assert update.gradients is not None
            self.learn(step, update.gradients)
        return dict(self._figures)

    @timed(OUTER_UPDATE)
    def learn(self, step: int, generic: RowGradients) -> None:
        """One update of the weight network, from the gradients of some generic rows."""
        target = self.task.target_batch(step, self.hyperparameters.target_rows, stream="outer").rows
        gradients = self.outer_gradient(step, generic, target)
        for parameter, gradient in zip(self.learned(), gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()

    def outer_gradient(self, step: int, generic: RowGradients, target: Tensor) -> list[Tensor]:
        """Gradient of the outer objective with respect to :meth:`learned`.

        The influences of the generic rows along ``u`` are the cotangent that the network's weights
        are pulled back with; ``target`` ``[m, T]`` are rows of the target sample.
        """
        weights = self.weigh(generic.rows)
        direction, scale = self.direction(step, generic, weights.detach(), target)
        pulls = generic.along(direction) * scale
        self._figures["outer_gradient_pull"] = (weights.detach() * pulls).sum()
        return list(torch.autograd.grad(weights, self.learned(), grad_outputs=pulls))

    def weigh(self, rows: Tensor) -> Tensor:
        """Weights of the examples in the inner loss, with a graph: ``[n, T] -> [n]``."""
        return example_log_probability(self.network(rows), rows).exp()

    @abstractmethod
    def direction(
        self, step: int, generic: RowGradients, weights: Tensor, target: Tensor
    ) -> tuple[Mapping[str, Tensor], float | Tensor]:
        """The direction ``u`` in parameter space, and a factor on the influences along it."""
