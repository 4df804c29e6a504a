"""RegMix: a domain mixture by regression of the target's loss on the mixtures of tiny proxies.

What: many tiny proxies are trained, each on a random mixture of the domains; a regression predicts
the target sample's loss from the mixture; the mean of the mixtures that it predicts to be best is
the one that the main model trains on.
Source: arXiv 2407.01492 and public code: mixtures ~ Dirichlet(s p'), s log-uniform in [.1, 5], p'
the natural shares to the power 1/2; boosted trees, rate 0.01; of 100,000 ~ Dirichlet(p), p the
natural shares, the best 128. Here the trees are scikit-learn's (LightGBM's form), not LightGBM's.
Defaults: 128 proxies (512 for 17 domains in the source) a tenth as deep and wide as the main model
(1M for 1B parameters), for 1/25 of its steps (1B of 25B tokens).
Charged for: training of every proxy and its loss on rows of the sample.
More: docs/methods/regmix.md
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits
from torch import Tensor

from baselines.mixtures.grouped import GroupedHyperparameters, GroupedMixture
from benchmark.api import Batch, Choice, LogUniform, resized, score, token_share, train, twin

TEMPERATURE, STRENGTHS = 0.5, np.geomspace(0.1, 5.0, 15)
SIMULATED, BEST = 100_000, 128
ROUNDS, RATE, PATIENCE, HELD_OUT = 1000, 0.01, 3, 0.2
PROXIES_A_LEAF = 25
"""Of 512 proxies, LightGBM's default of 20 a leaf is one in 25."""


class RegmixHyperparameters(GroupedHyperparameters):
    """Settings of RegMix."""

    for_checks: ClassVar[Mapping[str, Any]] = {"proxies": 8}

    proxies: Annotated[int, Field(ge=8, le=4096), Choice((64, 128, 512))] = 128
    """Mixtures that a proxy is trained on."""

    proxy_share: Annotated[float, Field(gt=0, le=1)] = 0.04
    """Steps of each proxy, as a share of the run's; at least two."""

    proxy_rate_factor: Annotated[float, Field(gt=0, le=1000), LogUniform(0.15, 15.0)] = 1.0
    """Peak learning rate of the proxies, in units of the main model's."""

    proxy_scale: Annotated[float, Field(gt=0, le=4)] = 0.1
    """Layers, width and hidden units of the proxies, in units of the main model's; 1: copies of
    it, with its initial weights.
    """

    scored_rows: Annotated[int, Field(ge=1)] = 500
    """Rows of the target sample, at most, that the loss of a proxy is the mean of."""


class Regmix(GroupedMixture):
    """Data mixture as regression."""

    name = "regmix"
    summary = "domain mixture: regression of the target's loss on the mixtures of tiny proxies"
    style = ("#0072B2", "p", "--")
    Hyperparameters = RegmixHyperparameters

    def find_weights(self) -> np.ndarray:
        # The domains come first, so that finding them is billed once, and not with proxies too.
        shares, count = self.domains.shares, self.hyperparameters.proxies
        mixtures = random_mixtures(shares, count, self.task.rng(0, "regmix mixtures"))
        sample = self.task.target_batch(0, self.scored_rows, stream="regmix").rows
        settings = self.hyperparameters.model_dump(mode="json")
        losses = [
            self.task.once(
                "regmix proxy",
                settings | {"number": number},
                partial(self.proxy_loss, mixture, sample),
            )
            for number, mixture in enumerate(mixtures)
        ]
        simulated = self.task.rng(0, "regmix simulation").dirichlet(shares, SIMULATED)
        seed = self.task.derived_seed("regmix regression") % 2**32
        return best_mixture(mixtures, np.concatenate(losses), simulated, seed)

    @property
    def scored_rows(self) -> int:
        """Rows of the target sample that proxies are scored on."""
        return min(int(self.hyperparameters.scored_rows), self.task.target_size)

    def proxy_loss(self, mixture: np.ndarray, sample: Tensor) -> np.ndarray:
        """Mean token loss ``[1]`` on ``sample`` of a proxy trained on a mixture ``[k]``.

        Proxies differ in their mixture alone: initial weights are the same, and so is what a
        domain's rows are drawn by.
        """
        task, settings = self.task, self.hyperparameters
        scale = settings.proxy_scale
        proxy = twin(task.model) if scale == 1 else resized(task, scale, "regmix proxy")
        steps = max(2, round(settings.proxy_share * task.steps))
        rate = settings.proxy_rate_factor * task.peak_rate

        def batch(step: int) -> Batch:
            rng = task.rng(step, "regmix proxy")
            return task.generic_rows(self.domains.draw(mixture, task.batch_size, rng))

        train(task, proxy.eval(), batch, steps, "regmix proxy", rate=rate)
        return (token_share(sample) @ score(proxy, sample)).cpu().numpy()[None]


def random_mixtures(shares: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Mixtures ``[count, k]`` around the flattened natural ``shares`` ``[k]``, near and far."""
    flat = shares**TEMPERATURE
    strengths = rng.choice(STRENGTHS, count)
    return np.stack([rng.dirichlet(strength * flat / flat.sum()) for strength in strengths])


def best_mixture(
    mixtures: np.ndarray, losses: np.ndarray, simulated: np.ndarray, seed: int
) -> np.ndarray:
    """Mean ``[k]`` of the ``BEST`` of ``simulated`` ``[m, k]`` by predicted loss.

    Predicted by boosted trees from ``mixtures`` ``[n, k]`` to ``losses`` ``[n]``; a fifth of them
    is held out, to stop when their loss no longer falls.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        learning_rate=RATE,
        max_iter=ROUNDS,
        min_samples_leaf=max(1, len(mixtures) // PROXIES_A_LEAF),
        early_stopping=True,
        validation_fraction=HELD_OUT,
        n_iter_no_change=PATIENCE,
        random_state=seed,
    )
    # Sums of one thread are the same on every machine.
    with threadpool_limits(1):
        predicted = trees.fit(mixtures, losses).predict(simulated)
    return np.asarray(simulated[np.argsort(predicted, kind="stable")[:BEST]].mean(0))
