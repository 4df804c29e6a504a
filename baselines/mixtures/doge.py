"""DoGE: a domain mixture found from how well each domain's gradient generalises to the target.

What: while a proxy trains on the domains by their current weights, each domain is scored by the
inner product of its gradient with the target's; the weights follow the scores, and their mean
over the proxy's updates is the mixture that the main model trains on.
Source: arXiv 2310.15393 and public code, out-of-domain form: gradients are clipped to norm one;
with eta_t the proxy's rate, s_d = eta_t <g_d, g_target> / mean |g_d|, clipped to [0, 5 eta_t];
a = softmax(log a + s / mu).
Defaults: mu such that the rates sum to 60 mu (public code); a fifth of the run's steps (ours).
Charged for: per proxy step a gradient of each domain's rows, and one of a target batch.
More: docs/methods/doge.md
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from scipy.special import log_softmax
from torch import Tensor, nn

from baselines.mixtures.proxy_mixture import (
    ProxyHyperparameters,
    ProxyMixture,
    with_mean_for_unmet,
)
from benchmark.api import (
    Direction,
    LogUniform,
    dot,
    gradient,
    step_along,
    token_share,
)

LARGEST_SCORE = 5.0
LARGEST_NORM = 1.0


class DogeHyperparameters(ProxyHyperparameters):
    """Settings of DoGE."""

    movement: Annotated[float, Field(gt=0, allow_inf_nan=False), LogUniform(10.0, 1000.0)] = 60.0
    """Sum of rate / mu over the proxy's training, with mu the Bregman coefficient: how far the
    weights may go, whatever the number of steps.
    """


class Doge(ProxyMixture):
    """Domain reweighting with generalisation estimation."""

    name = "doge"
    summary = "domain mixture: alignment of the domains' gradients with the target's on a proxy"
    revision = 2
    style = ("#D55E00", "s", "--")
    Hyperparameters = DogeHyperparameters

    @property
    def mu(self) -> float:
        """Bregman coefficient: the larger, the less the weights move at each update."""
        rates = sum(self.proxy_rate_at(step) for step in range(self.proxy_steps))
        return float(rates / self.hyperparameters.movement)

    def proxy_weights(self) -> Iterator[np.ndarray]:
        proxy, mu = self.new_model(), self.mu
        optimizer = self.task.optimizer(proxy.parameters())
        uniform = np.full(len(self.domains.shares), 1 / len(self.domains.shares))
        log_weights = np.log(uniform)
        for step in range(self.proxy_steps):
            batch, rate = self.domain_batch(step, uniform), self.proxy_rate_at(step)
            labels = self.domains.labels[batch.positions]
            target = self.task.target_batch(step, stream=self.name).rows
            found = compare_domains(proxy, batch.rows, labels, target, np.exp(log_weights))
            self.task.meter.count_examples(len(batch))
            descend(proxy, optimizer, found.weighted, rate)
            scores = doge_scores(with_mean_for_unmet(found.alignment), found.mean_norm, rate)
            log_weights = doge_update(log_weights, scores, mu)
            yield np.exp(log_weights)


@dataclass(frozen=True)
class Comparison:
    """Domains' clipped gradients g_d against the target's.

    ``alignment`` ``[k]``: <g_d, g_target>, NaN for a domain without rows; ``mean_norm`` of the
    g_d; ``weighted``: their mean by the domains' weights.
    """

    alignment: np.ndarray
    mean_norm: float
    weighted: Direction


def compare_domains(
    model: nn.Module, rows: Tensor, labels: np.ndarray, target: Tensor, weights: np.ndarray
) -> Comparison:
    """A gradient for each domain of ``rows`` ``[n, T]``, and one for the ``target`` ``[m, T]``.

    ``labels`` ``[n]`` number the rows' domains, ``weights`` ``[k]`` are those of the domains. A
    gradient is that of the mean token loss, without dropout, of norm one at most.
    """
    toward, _ = clipped_gradient(model, target)
    alignment, norms = np.full(len(weights), np.nan), []
    present = np.unique(labels)
    weighted = {name: torch.zeros_like(value) for name, value in toward.items()}
    for domain in present:
        own, norm = clipped_gradient(model, rows[torch.from_numpy(labels == domain)])
        alignment[domain] = float(dot(own, toward))
        norms.append(norm)
        weighted = step_along(weighted, own, float(weights[domain] / weights[present].sum()))
    return Comparison(alignment, float(np.mean(norms)), weighted)


def clipped_gradient(model: nn.Module, rows: Tensor) -> tuple[Direction, float]:
    """Gradient of the mean token loss of ``rows`` ``[n, T]``, scaled down to norm one; its norm."""
    _, found = gradient(model, rows, token_share(rows))
    norm = float(dot(found, found).sqrt())
    if norm <= LARGEST_NORM:
        return found, norm
    return {name: value * (LARGEST_NORM / norm) for name, value in found.items()}, LARGEST_NORM


def descend(
    model: nn.Module, optimizer: torch.optim.Optimizer, along: Direction, rate: float
) -> None:
    """One step of ``optimizer`` at a learning ``rate``, by the gradient ``along``.

    Raises:
        FloatingPointError: it is not finite.
    """
    for name, parameter in model.named_parameters():
        if not bool(along[name].isfinite().all()):
            raise FloatingPointError(f"proxy's gradient of {name} is not finite")
        parameter.grad = along[name]
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


def doge_scores(alignment: np.ndarray, norm: float, rate: float) -> np.ndarray:
    """Scores ``[k]``: ``rate * alignment / norm``, clipped to ``[0, 5 rate]``."""
    return np.clip(rate * alignment / (norm + 1e-6), 0.0, LARGEST_SCORE * rate)


def doge_update(log_weights: np.ndarray, scores: np.ndarray, mu: float) -> np.ndarray:
    """New log weights ``[k]``: ``log softmax(log a + s / mu)`` (arXiv 2310.15393)."""
    return np.asarray(log_softmax(log_weights + scores / mu))
