"""DoGE's scores and update by hand, and against explicit gradients of the domains."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from baselines.mixtures.doge import Doge, doge_scores, doge_update, domain_alignment, gradient_norm
from benchmark.api.auxiliary import twin
from benchmark.models.influence import dot, gradient
from benchmark.models.losses import token_share
from benchmark.models.optimisation import build_optimizer, inverse_square_root, update
from tests.baselines.mixtures.mixture_tasks import charged, training_step_flops, unequal_task
from tests.baselines.tasks import MakeTask, build, prepared


def test_alignment_is_that_of_the_domains_gradients(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks(big_batch_size=24)
    batch, target = task.big_batch(0), task.target_batch(0).rows
    rows = batch.rows.clone()
    rows[::3, 20:] = 0  # Rows of different lengths, so that token weights matter.
    labels = task.generic.domains(batch.positions)
    found = domain_alignment(task.model, rows, labels, target, count=4)
    _, target_gradient = gradient(task.model, target, token_share(target))
    for domain in range(3):
        own = rows[torch.from_numpy(labels == domain)]
        _, domain_gradient = gradient(task.model, own, token_share(own))
        explicit = float(dot(domain_gradient, target_gradient))
        assert found[domain] == pytest.approx(explicit, rel=1e-5)
    assert np.isnan(found[3]), "no row of that domain"


def test_scores_by_hand() -> None:
    scores = doge_scores(np.array([-1.0, 3.0, 40.0]), norm=2.0, rate=0.1)
    np.testing.assert_allclose(scores, [0.0, 0.15, 0.5], rtol=0, atol=1e-12)


def test_update_by_hand() -> None:
    """Scores of mu times log 2, 0 and log 3 multiply 5, 3 and 2 tenths: 10, 3, 6 nineteenths."""
    scores = 0.05 * np.log([2.0, 1.0, 3.0])
    new = np.exp(doge_update(np.log([0.5, 0.3, 0.2]), scores, mu=0.05))
    np.testing.assert_allclose(new, np.array([10, 3, 6]) / 19, rtol=0, atol=1e-12)


@given(
    alignment=arrays(float, 6, elements=st.floats(-1e3, 1e3)),
    norm=st.floats(1e-3, 1e3),
    rate=st.floats(0, 0.1),
    mu=st.floats(5e-3, 1),
)
def test_weights_stay_a_distribution(
    alignment: np.ndarray, norm: float, rate: float, mu: float
) -> None:
    log_weights = np.full(6, -np.log(6))
    for _ in range(3):
        log_weights = doge_update(log_weights, doge_scores(alignment, norm, rate), mu)
    assert np.isfinite(log_weights).all()
    assert np.exp(log_weights).sum() == pytest.approx(1.0, abs=1e-12)


def test_norm_of_the_training_gradient(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    model, batch = twin(task.model).eval(), task.generic_batch(0)
    _, explicit = gradient(model, batch.rows, token_share(batch.rows))
    update(model, build_optimizer(list(model.parameters())), batch, 0.01)
    assert gradient_norm(model) == pytest.approx(float(dot(explicit, explicit).sqrt()), rel=1e-5)


def test_proxy_training_step_by_step() -> None:
    """Three proxy updates, recomputed from the domains' own gradients."""
    task = unequal_task()
    task.model.eval()  # No dropout in its twin.
    made = prepared(Doge, task, proxy_share=0.25, proxy_rate_factor=3.0, mu=0.01)
    proxy = twin(task.model)
    optimizer = build_optimizer(list(proxy.parameters()))
    weights = np.full(3, 1 / 3)
    for step in range(3):
        rate = inverse_square_root(step, 3 * 0.003, 1)
        batch, labels = made.uniform_batch(step)
        target = task.target_batch(step, stream="doge").rows
        alignment = domain_alignment(proxy, batch.rows, labels, target, count=3)
        alignment[np.isnan(alignment)] = alignment[~np.isnan(alignment)].mean()
        row_weights = torch.from_numpy(weights[labels]).float()
        _, training = gradient(proxy, batch.rows, token_share(batch.rows, row_weights))
        update(proxy, optimizer, dataclasses.replace(batch, weights=row_weights), rate)
        scores = np.clip(rate * alignment / float(dot(training, training).sqrt()), 0, 5 * rate)
        raised = weights * np.exp(scores / 0.01)
        weights = raised / raised.sum()
        np.testing.assert_allclose(made.trajectory[step], weights, rtol=0, atol=1e-6)
    assert np.ptp(weights) > 0.1


def test_batches_cover_domains_uniformly() -> None:
    made = build(Doge, unequal_task(big_batch_size=600, batch_size=600))
    batch, labels = made.uniform_batch(0)
    np.testing.assert_array_equal(labels, made.task.generic.domains(batch.positions))
    assert np.bincount(labels).min() > 150


def test_weight_goes_to_the_targets_domain(corpora_tasks: MakeTask) -> None:
    made = prepared(Doge, corpora_tasks(steps=200), proxy_rate_factor=3.0)
    assert made.domains.names[int(made.weights.argmax())] == "harbour"
    assert made.weights[1] > 1.2 * made.domains.shares[1]


def test_bill(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks(steps=20)
    made = build(Doge, task, proxy_share=0.5)
    preparation = charged(task, made.prepare)
    # Training step, target gradient, and a forward pass with its tangent (two to three passes).
    assert 10 * 2.6 < preparation / training_step_flops(task) < 10 * 3.2
    assert task.meter.target_passes == pytest.approx(10 * 8 / 100)
    assert task.meter.examples == 10 * 8
