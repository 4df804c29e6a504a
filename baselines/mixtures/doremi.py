"""DoReMi: a domain mixture found by distributionally robust training of a proxy.

What: a small reference model is trained on the natural mixture; a proxy is then trained on the
domains weighted by how much worse than the reference it still is on each; the weights' mean over
its updates is the mixture that the main model trains on. It knows no target (`doremi_target` does).
Source: arXiv 2305.10429 and public code: a starts uniform, batches are uniform over domains;
lambda_d = mean over its tokens of max(l_proxy - l_ref, 0); a = softmax(log a + eta lambda);
a = (1 - c) a + c / k; tokens weigh a_d / p_d with p the sampling weights.
Defaults: eta 1, c 1e-3 (public script); models a third as deep and wide as the main model.
Charged for: per reference step a training step; per proxy step one and a forward pass.
More: docs/methods/doremi.md
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from scipy.special import log_softmax
from torch import Tensor, nn

from baselines.mixtures.proxy_mixture import (
    ProxyHyperparameters,
    ProxyMixture,
    Share,
    domain_means,
    with_mean_for_unmet,
)
from benchmark.api import Batch, LogUniform, Task, token_counts, train, train_once

Sampling = Literal["uniform", "natural"]


class DoremiHyperparameters(ProxyHyperparameters):
    """Settings of DoReMi."""

    proxy_scale: Annotated[float, Field(gt=0, le=4)] = 1 / 3
    """Layers, width and hidden units of proxy and reference, in units of the main model's; 1: a
    copy of it, with its initial weights.
    """

    proxy_share: Share = 1.0
    """Steps of the proxy, as a share of the run's."""

    reference_share: Share = 1.0
    """Steps of the reference model, as a share of the run's."""

    sampling: Sampling = "uniform"
    """Shares of the domains that the weights start at and that the proxy's rows are drawn by."""

    weight_rate: Annotated[float, Field(gt=0, le=10), LogUniform(0.03, 3.0)] = 1.0
    """Step size eta of the domain weights, per nat of excess loss."""

    smoothing: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """Share c of the domain weights that stays uniform."""


class Doremi(ProxyMixture):
    """Domain reweighting with minimax optimisation."""

    name = "doremi"
    summary = "domain mixture: robust proxy against a reference on the natural mixture; no target"
    revision = 2
    style = ("#009E73", "o", "--")
    Hyperparameters: ClassVar[type[ProxyHyperparameters]] = DoremiHyperparameters
    keeps_last: ClassVar[bool] = True
    """Whether a domain that the batch has no row of keeps its last excess, or takes the mean."""

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        self.reference_steps = self.steps_of(hyperparameters.reference_share)

    def models(self) -> tuple[nn.Module, nn.Module]:
        """The model that excess loss is measured against, and the proxy before training."""
        return self.train_reference(), self.new_model()

    def step_sizes(self) -> tuple[float, float]:
        """Step size eta of the weights, and the share c of them made uniform, at each update."""
        return self.hyperparameters.weight_rate, self.hyperparameters.smoothing

    def excess(self, proxy: Tensor, against: Tensor) -> Tensor:
        """Excess of token losses ``[n, T]``, in nats."""
        return (proxy - against).clamp(min=0)

    def train_reference(self) -> nn.Module:
        """A reference, trained on the natural mixture."""
        reference, purpose = self.new_model(), f"{self.name} reference"
        steps, peak = self.reference_steps, self.proxy_peak
        depends_on = {"scale": self.hyperparameters.proxy_scale, "steps": steps, "peak": peak}
        batches = self.task.generic_batch
        learn = partial(train, self.task, reference, batches, steps, purpose, rate=peak)
        train_once(self.task, purpose, depends_on, reference, learn)
        return reference

    @property
    def sampled(self) -> np.ndarray:
        """Shares ``[k]`` of the domains that the weights start at and rows are drawn by."""
        shares = self.domains.shares
        uniform = self.hyperparameters.sampling == "uniform"
        return np.full(len(shares), 1 / len(shares)) if uniform else shares

    def proxy_batch(self, step: int) -> Batch:
        """Generic rows for the proxy; natural ones are those that follow on the reference's."""
        if self.hyperparameters.sampling == "uniform":
            return self.domain_batch(step, self.sampled)
        return self.task.generic_batch(self.reference_steps + step)

    def proxy_weights(self) -> Iterator[np.ndarray]:
        rate, smoothing = self.step_sizes()
        against, proxy = self.models()
        optimizer = self.task.optimizer(proxy.parameters())
        sampled = self.sampled
        log_weights, excess = np.log(sampled), np.full(len(sampled), np.nan)
        for step in range(self.proxy_steps):
            batch = self.proxy_batch(step)
            self.task.meter.count_examples(len(batch))
            labels, tokens = self.domains.labels[batch.positions], token_counts(batch.rows)
            losses = proxy(batch.rows)
            with torch.no_grad():
                row_excess = self.excess(losses, against(batch.rows)).sum(1) / tokens.clamp(min=1)
            last = excess if self.keeps_last else np.full(len(sampled), np.nan)
            excess = domain_means(row_excess, tokens, labels, last)
            log_weights = doremi_update(log_weights, with_mean_for_unmet(excess), rate, smoothing)
            weights = np.exp(log_weights)
            row_weights = torch.from_numpy((weights / sampled)[labels]).to(losses)
            loss = row_weights @ losses.sum(1) / (row_weights @ tokens.to(losses))
            descend(optimizer, loss, self.proxy_rate_at(step))
            yield weights


def doremi_update(
    log_weights: np.ndarray, excess: np.ndarray, rate: float, smoothing: float
) -> np.ndarray:
    """New log weights ``[k]`` from the old ones and the domains' excess losses ``[k]`` in nats.

    ``a <- softmax(log a + rate * excess)``, then ``a <- (1 - c) a + c / k`` with c the smoothing
    (arXiv 2305.10429, algorithm 1).
    """
    raised = np.exp(log_softmax(log_weights + rate * excess))
    return np.asarray(np.log((1 - smoothing) * raised + smoothing / len(raised)))


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """One step of ``optimizer`` on ``loss``.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    if not torch.isfinite(loss):
        raise FloatingPointError(f"proxy's loss is {float(loss)}")
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
