"""DoGE: a domain mixture found from how well each domain's gradient generalises to the target.

What: while a proxy trains on the domains by their current weights, each domain is scored by the
inner product of its gradient with the target's; the weights follow the scores, and their mean
over the proxy's updates is the mixture that the main model trains on.
Source: arXiv 2310.15393 and its public code, out-of-domain form: with eta_t the proxy's rate,
s_d = eta_t <g_d, g_target> / mean |g_train|, clipped to [0, 5 eta_t]; a = softmax(log a + s / mu).
Here <g_d, g_target> comes from one forward-mode pass (`influence`).
Defaults: mu 0.001, measured (0.05 in the paper); the proxy takes a fifth of the run's steps.
Charged for: per proxy step a training step, a gradient of one target batch, and one forward-mode
pass.
More: docs/methods/doge.md
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from scipy.special import log_softmax
from torch import Tensor, nn

from baselines.mixtures.proxy_mixture import (
    ProxyHyperparameters,
    ProxyMixture,
    domain_means,
    with_mean_for_unmet,
)
from benchmark.api import (
    Batch,
    LogUniform,
    build_optimizer,
    gradient,
    influence,
    token_counts,
    token_share,
    train_step,
    twin,
)

LARGEST_SCORE = 5.0


class DogeHyperparameters(ProxyHyperparameters):
    """Settings of DoGE."""

    mu: Annotated[float, Field(gt=0), LogUniform(1e-4, 0.05)] = 0.001
    """Bregman coefficient: the larger, the less the weights move."""


class Doge(ProxyMixture):
    """Domain reweighting with generalisation estimation."""

    name = "doge"
    summary = "domain mixture: alignment of the domains' gradients with the target's on a proxy"
    style = ("#D55E00", "s", "--")
    Hyperparameters = DogeHyperparameters

    def proxy_weights(self) -> Iterator[np.ndarray]:
        count = len(self.domains.shares)
        proxy = twin(self.task.model)
        optimizer = build_optimizer(list(proxy.parameters()))
        log_weights = np.full(count, -math.log(count))
        for step in range(self.proxy_steps):
            batch, labels = self.uniform_batch(step)
            target = self.task.target_batch(step, stream=self.name).rows
            alignment = domain_alignment(proxy, batch.rows, labels, target, count)
            weights = torch.from_numpy(np.exp(log_weights)[labels]).to(batch.rows.device)
            rate = self.proxy_rate_at(step)
            weighted = Batch(batch.rows, batch.positions, weights.to(torch.get_default_dtype()))
            train_step(self.task, proxy, optimizer, weighted, rate, f"{self.name} proxy {step}")
            scores = doge_scores(with_mean_for_unmet(alignment), gradient_norm(proxy), rate)
            log_weights = doge_update(log_weights, scores, self.hyperparameters.mu)
            yield np.exp(log_weights)

    def uniform_batch(self, step: int) -> tuple[Batch, np.ndarray]:
        """Generic rows drawn uniformly over domains, and the domain of each."""
        count = len(self.domains.shares)
        rng = self.task.rng(step, "doge proxy")
        positions = self.domains.draw(np.full(count, 1 / count), self.task.batch_size, rng)
        return self.task.generic_rows(positions), self.domains.labels[positions]


def domain_alignment(
    model: nn.Module, rows: Tensor, labels: np.ndarray, target: Tensor, count: int
) -> np.ndarray:
    """``<g_d, g_target>`` for each of ``count`` domains ``[k]``; NaN for domains without rows.

    ``g_d`` is the gradient of the mean token loss of the rows ``[n, T]`` whose label ``[n]`` is d,
    ``g_target`` that of the target rows ``[m, T]``.
    """
    _, direction = gradient(model, target, token_share(target))
    unknown = np.full(count, np.nan)
    return domain_means(influence(model, rows, direction), token_counts(rows), labels, unknown)


def doge_scores(alignment: np.ndarray, norm: float, rate: float) -> np.ndarray:
    """Scores ``[k]``: ``rate * alignment / norm``, clipped to ``[0, 5 rate]``."""
    return np.clip(rate * alignment / norm, 0.0, LARGEST_SCORE * rate)


def doge_update(log_weights: np.ndarray, scores: np.ndarray, mu: float) -> np.ndarray:
    """New log weights ``[k]``: ``log softmax(log a + s / mu)`` (arXiv 2310.15393)."""
    return np.asarray(log_softmax(log_weights + scores / mu))


def gradient_norm(model: nn.Module) -> float:
    """Norm of the gradient that the model's last update has left."""
    gradients = [value.grad for value in model.parameters() if value.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients))
