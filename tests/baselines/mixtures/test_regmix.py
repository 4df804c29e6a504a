"""RegMix: its mixtures, its proxies by hand, the mixture that it finds for known losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from baselines.mixtures.regmix import Regmix, best_mixture, random_mixtures
from benchmark.api.auxiliary import resized
from benchmark.api.kept import Kept
from benchmark.models.optimisation import build_optimizer, update
from benchmark.models.protocol import inverse_square_root
from tests.baselines.mixtures.mixture_tasks import assert_refused, charged, unequal_task
from tests.baselines.tasks import MakeTask, build, harbour_share, prepared


def test_mixtures_lie_around_the_root_of_the_natural_shares() -> None:
    shares = np.array([0.64, 0.32, 0.04])
    found = random_mixtures(shares, 4000, np.random.default_rng(0))
    np.testing.assert_allclose(found.sum(1), 1, rtol=0, atol=1e-12)
    flat = np.sqrt(shares) / np.sqrt(shares).sum()
    np.testing.assert_allclose(found.mean(0), flat, rtol=0, atol=0.02)
    # Of Dirichlet(s p), the variance is p (1 - p) / (s + 1); s is .1 to 5, evenly in its logarithm.
    spread = (1 / (10 ** np.linspace(-1, np.log10(5), 15) + 1)).mean()
    np.testing.assert_allclose(found.var(0), flat * (1 - flat) * spread, rtol=0.06)


@pytest.mark.parametrize("best", [0, 2])
def test_finds_the_domain_that_lowers_the_loss(best: int) -> None:
    rng = np.random.default_rng(1)
    mixtures = random_mixtures(np.full(4, 0.25), 128, rng)
    losses = 5.0 - mixtures[:, best] + rng.normal(0, 0.02, 128)
    found = best_mixture(mixtures, losses, rng.dirichlet(np.full(4, 0.25), 20_000), seed=0)
    assert found[best] > 0.9
    assert found.sum() == pytest.approx(1.0)


def test_finds_a_best_mixture_between_domains() -> None:
    """A loss that is lowest at half of the first and half of the second domain."""
    rng = np.random.default_rng(2)
    mixtures = random_mixtures(np.full(3, 1 / 3), 512, rng)
    losses = ((mixtures - [0.5, 0.5, 0.0]) ** 2).sum(1)
    found = best_mixture(mixtures, losses, rng.dirichlet(np.ones(3) / 3, 20_000), seed=0)
    np.testing.assert_allclose(found, [0.5, 0.5, 0.0], rtol=0, atol=0.1)


def test_a_proxy_by_hand() -> None:
    """A quarter of twelve steps, at a tenth of the size and twice the rate."""
    task = unequal_task()
    method = build(Regmix, task, proxy_share=0.25, proxy_rate_factor=2.0, scored_rows=60)
    mixture = np.array([0.2, 0.7, 0.1])
    sample = task.target_batch(0, 60, stream="regmix").rows
    found = method.proxy_loss(mixture, sample)
    proxy = resized(task, 0.1, "regmix proxy")
    optimizer = build_optimizer(list(proxy.parameters()))
    for step in range(3):
        rng = task.rng(step, "regmix proxy")
        batch = task.generic_rows(method.domains.draw(mixture, 8, rng))
        update(proxy, optimizer, batch, inverse_square_root(step, 2 * 0.003, 1))
    with torch.no_grad():
        expected = proxy(sample).sum() / (sample > 0).sum()
    assert found.shape == (1,)
    assert found[0] == pytest.approx(float(expected), rel=1e-5)


def test_weight_goes_to_the_targets_domain(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks(steps=100)
    method = prepared(Regmix, task, proxies=24, proxy_share=0.2, proxy_rate_factor=5.0)
    assert method.domains.names[int(method.weights.argmax())] == "harbour"
    assert harbour_share(method) > 0.6, "a third of the corpus"


def test_losses_of_proxies_are_kept(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was killed after its fifth proxy goes on with the sixth."""
    kept = Kept(tmp_path / "rows", tmp_path / "run")
    trained: list[int] = []
    proxy_loss = Regmix.proxy_loss

    def counted(self: Regmix, *of_proxy: Any) -> np.ndarray:
        if len(trained) == 5:
            trained.append(-1)
            raise KeyboardInterrupt
        trained.append(1)
        return proxy_loss(self, *of_proxy)

    monkeypatch.setattr(Regmix, "proxy_loss", counted)
    with pytest.raises(KeyboardInterrupt):
        prepared(Regmix, unequal_task(kept=kept), proxies=8)
    resumed = prepared(Regmix, unequal_task(kept=kept), proxies=8)
    assert sum(of == 1 for of in trained) == 8
    np.testing.assert_array_equal(
        resumed.weights, prepared(Regmix, unequal_task(), proxies=8).weights
    )


def test_bill(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks(steps=50)
    small, batch = resized(task, 0.1, "measured"), task.generic_batch(0)
    optimizer = build_optimizer(list(small.parameters()))
    training = charged(task, lambda: update(small, optimizer, batch, 0.0))
    method = build(Regmix, task, proxies=8, proxy_share=0.1, scored_rows=1000)
    spent = charged(task, method.prepare) / training
    # Five steps a proxy, and a forward pass over the hundred rows of the sample.
    assert spent == pytest.approx(8 * (5 + 100 / 8 / 3), rel=0.03)
    assert task.meter.target_passes == 1.0
    assert task.meter.examples == 8 * 5 * 8


@pytest.mark.parametrize(
    ("key", "value"),
    [("proxies", 7), ("proxy_share", 0.0), ("proxy_scale", 5.0), ("scored_rows", 0)],
)
def test_bad_settings_are_refused(content: dict[str, Any], key: str, value: Any) -> None:
    assert_refused(content, "regmix", key, value)
