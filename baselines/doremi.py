"""DoReMi: a domain mixture found by distributionally robust training of a proxy.

What: a reference model is trained on the natural mixture; a proxy is then trained on the domains
weighted by how much worse than the reference it still is on each; the weights' mean over the
proxy's updates is the mixture that the main model trains on. It knows no target: see
`baselines.doremi_target` for the form that does.
Source: arXiv 2305.10429, algorithm 1, as its public code has it. At each proxy update:
lambda_d = mean over the domain's tokens of max(l_proxy - l_ref, 0), clipped token by token, the
last value where the batch has no row of d; log a += eta * lambda, normalised; a = (1 - c) a + c/k;
the proxy's tokens then weigh a_d / p_d (p the natural shares), renormalised over the batch.
Differences: proxy and reference are twins of the main model (its size, its initial weights);
the proxy reads generic batches that the reference has not seen; a domain that no batch has held
yet takes the mean lambda of the others (the code starts it at log of the vocabulary size, which
drives up exactly the domains that are missing); domains without rows are left out.
Defaults: eta 0.1, as the maintainers advise where batches do not cover the domains (1, the
paper's, ends near one-hot there); c 1e-3, as in the published script (1e-4 in the code).
Reference and proxy each take a fifth of the run's steps: in the paper both run as long as the
main model but are thirty times smaller, and at equal size that would more than double the bill.
Charged for: per reference step a training step; per proxy step one and a forward pass.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from scipy.special import log_softmax
from torch import Tensor, nn

from baselines.base import Hyperparameters, LogUniform
from baselines.clusters import ClusterSettings, cluster
from baselines.domains import DomainMixture, Domains, provenance
from benchmark.auxiliary import train, twin
from benchmark.cost import RowFlops
from benchmark.errors import UserError
from benchmark.models import token_counts
from benchmark.optimisation import build_optimizer, inverse_square_root
from benchmark.task import Batch, Task

Share = Annotated[float, Field(gt=0, le=1)]


class ProxyHyperparameters(Hyperparameters):
    """Settings of every mixture found with a proxy."""

    domains: Literal["provenance", "clusters"] = "provenance"
    """The corpora that the generic rows come from, or clusters of their text."""

    clusters: ClusterSettings = ClusterSettings()
    """How rows are clustered; used with ``domains: clusters`` only."""

    proxy_share: Share = 0.2
    """Steps of the proxy, as a share of the run's."""

    proxy_rate: Annotated[float, Field(gt=0, lt=1), LogUniform(3e-4, 3e-2)] = 2e-3
    """Peak learning rate of the auxiliary models."""


class ProxyMixture(DomainMixture):
    """A mixture that is the mean of the weights that a proxy was trained with.

    The proxy's weights are kept: while the main model trains, ``observe`` replays them as
    ``proxy_weight/NAME`` (half-way through the run, those of half-way through the proxy's
    training) beside the mixture itself, ``domain_weight/NAME``.
    """

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        if hyperparameters.domains == "provenance" and len(task.generic.domain_names) < 2:
            raise UserError(
                f"{self.name}: domains: 'provenance' needs a generic corpus of two or more "
                f"sources, and this one has {len(task.generic.domain_names)}: use 'clusters'"
            )
        self.proxy_steps = self.steps_of(hyperparameters.proxy_share)
        self.trajectory = np.empty((0, 0))

    @abstractmethod
    def proxy_weights(self) -> Iterator[np.ndarray]:
        """Train the proxy; the domain weights ``[k]`` after each of its ``proxy_steps`` updates."""

    def group(self) -> Domains:
        if self.hyperparameters.domains == "clusters":
            return with_rows(cluster(self.task, self.hyperparameters.clusters).domains)
        return with_rows(provenance(self.task))

    def find_weights(self) -> np.ndarray:
        self.trajectory = np.stack(list(self.proxy_weights()))
        return np.asarray(self.trajectory.mean(0))

    def observe(self, step: int) -> dict[str, float]:
        update = step * self.proxy_steps // self.task.steps
        replayed = zip(self.domains.names, self.trajectory[update], strict=True)
        return super().observe(step) | {
            f"proxy_weight/{name}": float(weight) for name, weight in replayed
        }

    def steps_of(self, share: float) -> int:
        """A share of the run's steps; at least two, since the rate of the first is 0."""
        return max(2, round(share * self.task.steps))

    def proxy_rate_at(self, step: int) -> float:
        """The proxy's learning rate."""
        peak = self.hyperparameters.proxy_rate
        return inverse_square_root(step, peak, warmup_of(self.proxy_steps))

    def train_twin(
        self,
        model: nn.Module,
        batches: Callable[[int], Batch],
        steps: int,
        rate: float,
        purpose: str,
    ) -> nn.Module:
        """A twin of ``model``, trained on ``batches`` at a peak ``rate``."""
        trained = twin(model)
        self.fix_dropout(purpose)
        train(trained, batches, steps, rate, warmup_of(steps))
        return trained

    def fix_dropout(self, purpose: str) -> None:
        """Make the dropout of the training that follows a function of the seed."""
        torch.manual_seed(self.task.derived_seed(f"{self.name} {purpose}"))

    def state_dict(self) -> dict[str, Any]:
        # Clustering again after a restart would cost, and be charged, once more.
        clusters = self.hyperparameters.domains == "clusters"
        return {
            **super().state_dict(),
            "trajectory": torch.from_numpy(self.trajectory),
            "labels": torch.from_numpy(self.domains.labels) if clusters else None,
            "names": list(self.domains.names) if clusters else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.trajectory = state["trajectory"].cpu().numpy()
        if state["labels"] is not None:
            self._domains = Domains(state["labels"].cpu().numpy(), tuple(state["names"]))


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
    Hyperparameters = DoremiHyperparameters

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
        return self.train_twin(
            self.task.model,
            self.task.generic_batch,
            self.reference_steps,
            self.hyperparameters.proxy_rate,
            "reference",
        )

    def selection_flops(self, row: RowFlops) -> float:
        steps = self.reference_steps + self.proxy_steps
        gradients, forwards = steps * row.gradient, self.proxy_steps * row.forward
        return self.task.batch_size * (gradients + forwards)

    def proxy_weights(self) -> Iterator[np.ndarray]:
        settings, shares = self.hyperparameters, self.domains.shares
        against, proxy = self.models()
        against.eval()
        optimizer = build_optimizer(list(proxy.parameters()))
        log_weights, excess = np.log(shares), np.full(len(shares), np.nan)
        self.fix_dropout("proxy")
        for step in range(self.proxy_steps):
            batch = self.task.generic_batch(self.reference_steps + step)
            labels, tokens = self.domains.labels[batch.positions], token_counts(batch.rows)
            losses = proxy(batch.rows)
            with torch.no_grad():
                row_excess = self.excess(losses, against(batch.rows)).sum(1) / tokens.clamp(min=1)
            excess = domain_means(row_excess, tokens, labels, excess)
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


def warmup_of(steps: int) -> int:
    """Steps over which an auxiliary model's learning rate rises: a tenth of all."""
    return math.ceil(steps / 10)


def with_mean_for_unmet(values: np.ndarray) -> np.ndarray:
    """``values`` ``[k]`` with the mean of the known ones in place of NaN."""
    return np.asarray(np.where(np.isnan(values), np.nanmean(values), values))


def with_rows(domains: Domains) -> Domains:
    """The domains that have rows."""
    kept = np.flatnonzero(domains.shares)
    return Domains(np.searchsorted(kept, domains.labels), tuple(domains.names[i] for i in kept))


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
