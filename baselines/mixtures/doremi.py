"""DoReMi: a domain mixture found by distributionally robust training of a proxy.

What: a reference model is trained on the natural mixture; a proxy is then trained on the domains
weighted by how much worse than the reference it still is on each; the weights' mean over the
proxy's updates is the mixture that the main model trains on. It knows no target: see
`baselines.mixtures.doremi_target` for the form that does.
Source: arXiv 2305.10429, algorithm 1, as its public code has it: lambda_d = mean over the domain's
tokens of max(l_proxy - l_ref, 0); a = softmax(log a + eta lambda); a = (1 - c) a + c / k.
Defaults: eta 0.1 (paper: 1); c 1e-3, as in the published script. Reference and proxy are twins of
the main model and take a fifth of the run's steps each (ours).
Charged for: per reference step a training step; per proxy step one and a forward pass.
More: docs/methods/doremi.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

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
from benchmark.api import LogUniform, Task, build_optimizer, fix_dropout, token_counts, train, twin


class DoremiHyperparameters(ProxyHyperparameters):
    """Settings of DoReMi."""

    reference_share: Share = 0.2
    """Steps of the reference model, as a share of the run's."""

    weight_rate: Annotated[float, Field(gt=0, le=10), LogUniform(0.03, 3.0)] = 0.1
    """Step size eta of the domain weights, per nat of excess loss."""

    smoothing: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """Share c of the domain weights that stays uniform."""


class Doremi(ProxyMixture):
    """Domain reweighting with minimax optimisation."""

    name = "doremi"
    summary = "domain mixture: robust proxy against a reference on the natural mixture; no target"
    style = ("#009E73", "o", "--")
    Hyperparameters = DoremiHyperparameters
    keeps_last: ClassVar[bool] = True
    """Whether a domain that the batch has no row of keeps its last excess, or takes the mean."""

    def __init__(self, task: Task, hyperparameters: DoremiHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        self.reference_steps = self.steps_of(hyperparameters.reference_share)

    def models(self) -> tuple[nn.Module, nn.Module]:
        """The model that excess loss is measured against, and the proxy before training."""
        return self.train_reference(), twin(self.task.model)

    def excess(self, proxy: Tensor, against: Tensor) -> Tensor:
        """Excess of token losses ``[n, T]``, in nats."""
        return (proxy - against).clamp(min=0)

    def train_reference(self) -> nn.Module:
        """A twin of the main model, trained on the natural mixture."""
        reference, steps = twin(self.task.model), self.reference_steps
        purpose = f"{self.name} reference"
        train(self.task, reference, self.task.generic_batch, steps, purpose, rate=self.proxy_peak)
        return reference

    def proxy_weights(self) -> Iterator[np.ndarray]:
        settings, shares = self.hyperparameters, self.domains.shares
        against, proxy = self.models()
        against.eval()
        optimizer = build_optimizer(list(proxy.parameters()))
        log_weights, excess = np.log(shares), np.full(len(shares), np.nan)
        for step in range(self.proxy_steps):
            fix_dropout(self.task, f"{self.name} proxy {step}")
            batch = self.task.generic_batch(self.reference_steps + step)
            self.task.meter.count_examples(len(batch))
            labels, tokens = self.domains.labels[batch.positions], token_counts(batch.rows)
            losses = proxy(batch.rows)
            with torch.no_grad():
                row_excess = self.excess(losses, against(batch.rows)).sum(1) / tokens.clamp(min=1)
            last = excess if self.keeps_last else np.full(len(shares), np.nan)
            excess = domain_means(row_excess, tokens, labels, last)
            log_weights = doremi_update(
                log_weights, with_mean_for_unmet(excess), settings.weight_rate, settings.smoothing
            )
            weights = np.exp(log_weights)
            row_weights = torch.from_numpy((weights / shares)[labels]).to(losses)
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
