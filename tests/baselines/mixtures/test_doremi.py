"""DoReMi's update by hand; what all mixtures found with a proxy must keep."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from baselines.mixtures.doge import Doge
from baselines.mixtures.domains import Domains
from baselines.mixtures.doremi import Doremi, doremi_update
from baselines.mixtures.doremi_target import DoremiTarget
from baselines.mixtures.grouped import with_rows
from baselines.mixtures.proxy_mixture import (
    ProxyMixture,
    domain_means,
    with_mean_for_unmet,
)
from benchmark.api.auxiliary import train, twin
from benchmark.core.errors import UserError
from benchmark.models.optimisation import build_optimizer, update
from benchmark.models.protocol import inverse_square_root
from tests.baselines.mixtures.mixture_tasks import (
    assert_refused,
    charged,
    restored,
    training_step_flops,
    unequal_task,
    weights_of,
)
from tests.baselines.tasks import MakeTask, TextRows, batches, build, byte_rows, make_task, prepared

MIXTURES = pytest.mark.parametrize("method", [Doremi, DoremiTarget, Doge])
CLUSTERS = {"count": 3, "components": 4}
FAST = {"proxy_rate_factor": 3.0}
PEAK = 3.0 * 0.003
"""That factor times the peak rate of a test's task."""
SHORT: dict[str, Any] = {"proxy_share": 0.5, **FAST}


def test_update_by_hand() -> None:
    """Weights 5, 3, 2 tenths; the excess multiplies them by 2, 1, 3: 10, 3, 6 nineteenths."""
    old, excess = np.log([0.5, 0.3, 0.2]), np.log([4.0, 1.0, 9.0])
    new = np.exp(doremi_update(old, excess, rate=0.5, smoothing=0.1))
    by_hand = [0.9 * part / 19 + 0.1 / 3 for part in (10, 3, 6)]
    np.testing.assert_allclose(new, by_hand, rtol=0, atol=1e-12)


def test_update_without_excess_only_smooths() -> None:
    new = np.exp(doremi_update(np.log([0.9, 0.1]), np.zeros(2), rate=1.0, smoothing=0.2))
    np.testing.assert_allclose(new, [0.82, 0.18], rtol=0, atol=1e-12)


@given(
    weights=arrays(float, 5, elements=st.floats(1e-6, 1.0)),
    excess=arrays(float, 5, elements=st.floats(-50, 50)),
    rate=st.floats(0.001, 10),
    smoothing=st.floats(1e-6, 0.5),
)
def test_weights_stay_a_distribution(
    weights: np.ndarray, excess: np.ndarray, rate: float, smoothing: float
) -> None:
    log_weights = np.log(weights / weights.sum())
    for _ in range(3):
        log_weights = doremi_update(log_weights, excess, rate, smoothing)
    new = np.exp(log_weights)
    assert np.isfinite(log_weights).all()
    assert (new >= smoothing / 5 * (1 - 1e-9)).all()
    assert new.sum() == pytest.approx(1.0, abs=1e-12)


def test_means_weigh_tokens_and_absent_domains_keep_their_value() -> None:
    values, tokens = torch.tensor([1.0, 4.0, 7.0]), torch.tensor([3, 1, 5])
    means = domain_means(values, tokens, np.array([2, 2, 0]), last=np.array([9.0, 0.25, 9.0]))
    np.testing.assert_allclose(means, [7.0, 0.25, 1.75], rtol=0, atol=1e-12)


def test_a_domain_not_met_yet_is_treated_as_the_others_on_average() -> None:
    known = with_mean_for_unmet(np.array([1.0, np.nan, 4.0]))
    np.testing.assert_array_equal(known, [1.0, 2.5, 4.0])


def test_domains_without_rows_are_left_out() -> None:
    found = with_rows(Domains(np.array([3, 0, 3, 3]), ("a", "b", "c", "d")))
    assert found.names == ("a", "d")
    np.testing.assert_array_equal(found.labels, [1, 0, 1, 1])
    np.testing.assert_array_equal(found.shares, [0.25, 0.75])


def test_excess_is_clipped_by_token_without_a_target_and_signed_with_one(
    corpora_tasks: MakeTask,
) -> None:
    proxy, against = torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 2.0]])
    plain, aware = build(Doremi, corpora_tasks()), build(DoremiTarget, corpora_tasks())
    assert plain.excess(proxy, against).tolist() == [[2.0, 0.0]]
    assert aware.excess(proxy, against).tolist() == [[2.0, -1.0]]


@pytest.mark.parametrize("sampling", ["uniform", "natural"])
def test_proxy_training_step_by_step(sampling: str) -> None:
    """Three steps of the reference, then three of the proxy, recomputed with plain loops."""
    task = unequal_task(batch_size=16)
    shares = {"reference_share": 0.25, "proxy_share": 0.25, "proxy_scale": 1.0}
    made = prepared(Doremi, task, sampling=sampling, **FAST, **shares)
    # No dropout, in the reference as in the proxy.
    reference, proxy = twin(task.model).eval(), twin(task.model).eval()
    train(task, reference, task.generic_batch, 3, "reference", rate=PEAK)
    optimizer = build_optimizer(list(proxy.parameters()))
    uniform = np.full(3, 1 / 3)
    sampled = uniform if sampling == "uniform" else made.domains.shares
    weights, excess = sampled, np.full(3, np.nan)
    for step in range(3):
        drawn = made.domain_batch(step, uniform)
        batch = drawn if sampling == "uniform" else task.generic_batch(3 + step)
        labels = task.generic.domains(batch.positions)
        with torch.no_grad():
            ahead = (proxy(batch.rows) - reference(batch.rows)).clamp(min=0)
        for domain in set(labels):
            mine = torch.from_numpy(labels == domain)
            excess[domain] = float(ahead[mine][batch.rows[mine] > 0].mean())
        assert not np.isnan(excess).any()
        raised = weights * np.exp(excess)
        weights = 0.999 * raised / raised.sum() + 0.001 / 3
        np.testing.assert_allclose(made.trajectory[step], weights, rtol=0, atol=1e-6)
        row_weights = torch.from_numpy((weights / sampled)[labels]).float()
        weighted = dataclasses.replace(batch, weights=row_weights)
        update(proxy, optimizer, weighted, inverse_square_root(step, PEAK, 1))
    assert excess.min() > 0.01, "the reference is ahead of the proxy"


def test_starts_uniform_and_draws_uniformly_over_domains() -> None:
    """The domains hold 400, 200 and 300 rows. At step 0 proxy and reference are alike."""
    task = unequal_task(batch_size=600, big_batch_size=600)
    made = build(Doremi, task)
    labels = task.generic.domains(made.proxy_batch(0).positions)
    np.testing.assert_allclose(np.bincount(labels) / 600, 1 / 3, atol=0.06)
    np.testing.assert_array_equal(made.sampled, np.full(3, 1 / 3))
    natural = build(Doremi, task, sampling="natural")
    np.testing.assert_allclose(natural.sampled, [4 / 9, 2 / 9, 3 / 9])


@MIXTURES
@pytest.mark.parametrize("scale", [0.4, 1.0])
def test_proxies_of_any_size_without_dropout(
    corpora_tasks: MakeTask, method: type[ProxyMixture], scale: float
) -> None:
    made = build(method, corpora_tasks(), proxy_scale=scale)
    proxy = made.new_model()
    rows = made.task.generic_batch(0).rows
    assert torch.equal(proxy(rows), proxy(rows)), "the main model has dropout"
    counts = [sum(p.numel() for p in m.parameters()) for m in (proxy, made.task.model)]
    assert counts[0] == counts[1] if scale == 1 else counts[0] < counts[1] / 2
    assert made.task.model.training


def test_the_source_form_is_the_default(corpora_tasks: MakeTask) -> None:
    settings = build(Doremi, corpora_tasks()).hyperparameters
    assert (settings.weight_rate, settings.smoothing, settings.sampling) == (1.0, 1e-3, "uniform")
    assert settings.proxy_scale < 1


@pytest.mark.parametrize("steps", [100, 10_000])
def test_with_a_target_weights_move_as_far_in_runs_of_any_length(
    corpora_tasks: MakeTask, steps: int
) -> None:
    made = build(DoremiTarget, corpora_tasks(steps=steps), movement=30.0, smoothing=0.2)
    rate, smoothing = made.step_sizes()
    log_weights = np.log([0.5, 0.5])
    for _ in range(made.proxy_steps):
        log_weights = doremi_update(log_weights, np.array([0.1, 0.0]), rate, smoothing)
    # Where da/dt = 3 a (1 - a) - log(1 / .8) (a - 1/2) leads in a unit of time, from a half.
    assert np.exp(log_weights[0]) == pytest.approx(0.9233, abs=0.004)


@MIXTURES
def test_weights_and_their_trajectory(corpora_tasks: MakeTask, method: type[ProxyMixture]) -> None:
    task = corpora_tasks(steps=20)
    before = weights_of(task)
    made = prepared(method, task, **SHORT)
    assert made.trajectory.shape == (10, 3)
    np.testing.assert_allclose(made.trajectory.sum(1), 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(made.weights, made.trajectory.mean(0), rtol=0, atol=1e-15)
    assert (made.trajectory >= 0).all()
    assert torch.equal(weights_of(task), before), "the main model is left alone"
    for step, passed in ((0, 0), (1, 0), (9, 4), (10, 5), (19, 9)):
        figures = made.observe(step)
        assert figures["proxy_weight/harbour"] == made.trajectory[passed, 1]
        assert figures["domain_weight/harbour"] == made.weights[1]


@MIXTURES
def test_a_function_of_the_seed(corpora_tasks: MakeTask, method: type[ProxyMixture]) -> None:
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(made))
        made.append(prepared(method, corpora_tasks(seed=seed), **SHORT))
    first, again, other = made
    np.testing.assert_array_equal(first.trajectory, again.trajectory)
    assert torch.equal(batches(first), batches(again))
    assert not np.array_equal(first.trajectory, other.trajectory)


@MIXTURES
@pytest.mark.parametrize("domains", ["provenance", "clusters"])
def test_resumes_without_preparing(
    corpora_tasks: MakeTask, method: type[ProxyMixture], domains: str, tmp_path: Path
) -> None:
    settings = {"domains": domains, "clusters": CLUSTERS, **SHORT}
    made = prepared(method, corpora_tasks(), **settings)
    task = corpora_tasks()
    again = restored(made, task, tmp_path / "state")
    assert torch.equal(batches(again), batches(made))
    assert again.observe(5) == made.observe(5)
    assert not task.meter.parts, "nothing is clustered a second time"
    assert task.meter.target_passes == 0


@pytest.mark.parametrize(("method", "tuning"), [(Doremi, 0), (DoremiTarget, 2)])
def test_bill(corpora_tasks: MakeTask, method: type[Doremi], tuning: int) -> None:
    task = corpora_tasks(steps=20)
    settings = {"reference_share": 0.25, "proxy_share": 0.5, "proxy_scale": 1.0}
    made = build(method, task, **settings)
    preparation = charged(task, made.prepare)
    # A forward pass is a third of a training step.
    expected = 5 + 10 * (1 + 1 / 3) + tuning
    assert preparation / training_step_flops(task) == pytest.approx(expected, rel=0.02)
    assert task.meter.target_passes == pytest.approx(tuning * 8 / 100)
    assert task.meter.examples == (5 + 10 + tuning) * 8, "rows that auxiliary models trained on"


def test_with_a_target_weight_goes_to_its_domain(corpora_tasks: MakeTask) -> None:
    made = prepared(DoremiTarget, corpora_tasks(steps=200), **FAST, adaptation_rate_factor=1.5)
    weights = dict(zip(made.domains.names, made.weights, strict=True))
    assert weights["harbour"] > 1.15 * made.domains.shares[1]
    assert max(weights, key=lambda name: weights[name]) == "harbour"


def test_an_easy_domain_does_not_pass_for_the_target() -> None:
    """What is easy to learn gains most under plain DoReMi and loses under the target's form."""
    plain = prepared(Doremi, unequal_task(steps=200), **FAST)
    aware = prepared(DoremiTarget, unequal_task(steps=200), adaptation_rate_factor=1.5, **FAST)
    assert plain.domains.names == ("easy", "harbour", "noise"), "the empty domain is left out"
    assert plain.weights.argmax() == 0
    assert aware.weights.argmax() == 1
    assert aware.weights[0] < aware.domains.shares[0]


def test_a_small_domain_does_not_run_away_on_one_row() -> None:
    """A domain of one row, met once, at which fine-tuning seems to help."""
    proxy_step = itertools.count()

    class HelpsOnce(DoremiTarget):
        def excess(self, proxy: torch.Tensor, against: torch.Tensor) -> torch.Tensor:
            change = torch.zeros_like(proxy - against)
            change[0] = 0.1 if next(proxy_step) == 0 else 0.0
            return change

    task = unequal_task(steps=40)
    made = build(HelpsOnce, task, proxy_share=0.5, movement=20.0, smoothing=1e-9)
    labels = np.ones(len(task.generic), dtype=np.int64)
    labels[task.generic_batch(made.reference_steps).positions[0]] = 0
    made.domains = Domains(labels, ("rare", "common"))
    made.prepare()
    gained = np.log(made.trajectory[:, 0] / made.domains.shares[0])
    np.testing.assert_allclose(gained, 0.1, rtol=0, atol=1e-3)


def test_one_source_is_not_a_mixture() -> None:
    texts = [f"text number {number}" for number in range(50)]
    task = make_task(TextRows(texts), byte_rows(texts[:20], 48))
    with pytest.raises(UserError, match=r"doremi: domains: .* has 1: use 'clusters'"):
        build(Doremi, task)
    assert build(Doremi, task, domains="clusters", clusters=CLUSTERS).proxy_steps == 12


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        ("doremi", "weight_rate", 0.0),
        ("doremi", "smoothing", 1.0),
        ("doremi", "reference_share", 1.5),
        ("doremi", "domains", "topics"),
        ("doremi", "proxy_rate_factor", -1.0),
        ("doremi_target", "adaptation_rate_factor", 0.0),
        ("doremi_target", "adaptation_share", 0.0),
        ("doremi_target", "movement", 0.0),
        ("doremi", "proxy_scale", 0.0),
        ("doremi", "sampling", "even"),
        ("doge", "movement", 0.0),
        ("doge", "proxy_share", 0.0),
    ],
)
def test_bad_settings_are_refused(
    content: dict[str, Any], method: str, key: str, value: Any
) -> None:
    assert_refused(content, method, key, value)
