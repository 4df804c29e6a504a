"""Domain mixtures found with a proxy: what DoReMi and DoGE have in common.

A second model, the proxy, is trained on the domains while their weights are adapted; the weights'
mean over the proxy's updates is the mixture that the main model trains on. Proxies and
references have no dropout, and any size (`resized`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from baselines.mixtures.grouped import GroupedHyperparameters, GroupedMixture
from benchmark.api import (
    PROXY_WEIGHT,
    Batch,
    LogUniform,
    Task,
    rate_at,
    resized,
    twin,
)

Share = Annotated[float, Field(gt=0, le=1)]


class ProxyHyperparameters(GroupedHyperparameters):
    """Settings of every mixture found with a proxy."""

    proxy_share: Share = 0.2
    """Steps of the proxy, as a share of the run's."""

    proxy_rate_factor: Annotated[float, Field(gt=0, le=1000), LogUniform(0.15, 15.0)] = 1.0
    """Peak learning rate of proxy and reference, in units of the main model's."""

    proxy_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Layers, width and hidden units of proxy and reference, in units of the main model's; 1: a
    copy of it, with its initial weights.
    """


class ProxyMixture(GroupedMixture):
    """A mixture that is the mean of the weights that a proxy was trained with.

    The proxy's weights are kept: while the main model trains, ``observe`` replays them as
    ``proxy_weight/NAME`` (half-way through the run, those of half-way through the proxy's
    training) beside the mixture itself, ``domain_weight/NAME``.
    """

    state: ClassVar[tuple[str, ...]] = (*GroupedMixture.state, "trajectory")

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        self.proxy_steps = self.steps_of(hyperparameters.proxy_share)
        self.trajectory = np.empty((0, 0))

    @abstractmethod
    def proxy_weights(self) -> Iterator[np.ndarray]:
        """Train the proxy; the domain weights ``[k]`` after each of its ``proxy_steps`` updates."""

    @property
    def settings(self) -> dict[str, Any]:
        """The method's settings as plain values."""
        return dict(self.hyperparameters.model_dump(mode="json"))

    def new_model(self) -> nn.Module:
        """A proxy, or a reference, before training."""
        scale, task = self.hyperparameters.proxy_scale, self.task
        made = twin(task.model) if scale == 1 else resized(task, scale, f"{self.name} proxy")
        return made.eval()

    def domain_batch(self, step: int, shares: np.ndarray) -> Batch:
        """Generic rows for the proxy, their domains drawn by ``shares`` ``[k]``."""
        rng = self.task.rng(step, f"{self.name} proxy")
        return self.task.generic_rows(self.domains.draw(shares, self.task.batch_size, rng))

    def find_weights(self) -> np.ndarray:
        # The domains come first, so that finding them is billed once, and not with the proxy too.
        count = len(self.domains.names)
        trajectory = self.task.once(
            f"{self.name} weights", self.settings, lambda: np.stack(list(self.proxy_weights()))
        )
        self.trajectory = trajectory.reshape(self.proxy_steps, count)
        return np.asarray(self.trajectory.mean(0))

    def observe(self, step: int) -> dict[str, float]:
        update = step * self.proxy_steps // self.task.steps
        replayed = zip(self.domains.names, self.trajectory[update], strict=True)
        return super().observe(step) | {
            f"{PROXY_WEIGHT}{name}": float(weight) for name, weight in replayed
        }

    def steps_of(self, share: float) -> int:
        """A share of the run's steps; at least two, since the rate of the first is 0."""
        return max(2, round(share * self.task.steps))

    @property
    def proxy_peak(self) -> float:
        """Peak learning rate of the proxy, and of a reference."""
        return float(self.hyperparameters.proxy_rate_factor * self.task.peak_rate)

    def proxy_rate_at(self, step: int) -> float:
        """The proxy's learning rate."""
        return rate_at(self.task, step, self.proxy_steps, self.proxy_peak)


def domain_means(
    values: Tensor, tokens: Tensor, labels: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Means of row values ``[n]`` by domain, each row weighted by its ``tokens`` ``[n]``: ``[k]``.

    A domain that none of the ``labels`` ``[n]`` names keeps its ``last`` ``[k]`` value.
    """
    mass = tokens.cpu().numpy().astype(np.float64)
    masses = np.bincount(labels, weights=mass, minlength=len(last))
    sums = np.bincount(labels, weights=mass * values.cpu().numpy(), minlength=len(last))
    return np.asarray(np.divide(sums, masses, out=last.copy(), where=masses > 0))


def with_mean_for_unmet(values: np.ndarray) -> np.ndarray:
    """``values`` ``[k]`` with the mean of the known ones in place of NaN."""
    return np.asarray(np.where(np.isnan(values), np.nanmean(values), values))
