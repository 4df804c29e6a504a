"""DoGE's scores and update by hand, and against explicit gradients of the domains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from baselines.mixtures.doge import (
    Doge,
    clipped_gradient,
    compare_domains,
    doge_scores,
    doge_update,
)
from benchmark.api.auxiliary import twin
from benchmark.models.influence import Direction, dot, gradient
from benchmark.models.losses import token_share
from benchmark.models.optimisation import build_optimizer
from benchmark.models.protocol import inverse_square_root
from tests.baselines.mixtures.mixture_tasks import charged, training_step_flops, unequal_task
from tests.baselines.tasks import MakeTask, build, prepared


@pytest.mark.parametrize("longest", [0.5, 1.0])
def test_domains_are_compared_by_their_clipped_gradients(
    corpora_tasks: MakeTask, longest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of this model are longer than a half and shorter than one."""
    monkeypatch.setattr("baselines.mixtures.doge.LARGEST_NORM", longest)
    task = corpora_tasks(big_batch_size=24)
    batch, target = task.big_batch(0), task.target_batch(0).rows
    rows = batch.rows.clone()
    rows[::3, 20:] = 0  # Rows of different lengths, so that token weights matter.
    labels = task.generic.domains(batch.positions)
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    found = compare_domains(task.model, rows, labels, target, shares)
    toward = clip(gradient(task.model, target, token_share(target))[1], longest)
    weighted, norms = torch.zeros_like(flat(toward)), []
    for domain in range(3):
        own = rows[torch.from_numpy(labels == domain)]
        whole = clip(gradient(task.model, own, token_share(own))[1], longest)
        norms.append(float(flat(whole).norm()))
        assert found.alignment[domain] == pytest.approx(float(dot(whole, toward)), rel=1e-4)
        weighted += shares[domain] / 0.6 * flat(whole)
    assert np.isnan(found.alignment[3]), "no row of that domain"
    assert found.mean_norm == pytest.approx(np.mean(norms), rel=1e-5)
    assert (max(norms) < 0.501) == (longest == 0.5)
    torch.testing.assert_close(flat(found.weighted), weighted, rtol=1e-4, atol=1e-6)


def test_gradients_shorter_than_one_are_left_as_they_are(
    corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baselines.mixtures.doge.LARGEST_NORM", 1e6)
    task = corpora_tasks()
    rows = task.generic_batch(0).rows
    found, norm = clipped_gradient(task.model, rows)
    _, whole = gradient(task.model, rows, token_share(rows))
    assert torch.equal(flat(found), flat(whole))
    assert norm == pytest.approx(float(flat(whole).norm()))


def flat(direction: Direction) -> torch.Tensor:
    return torch.cat([value.flatten() for value in direction.values()])


def clip(direction: Direction, longest: float = 1.0) -> dict[str, torch.Tensor]:
    length = max(1.0, float(flat(direction).norm()) / longest)
    return {name: value / length for name, value in direction.items()}


def test_scores_by_hand() -> None:
    scores = doge_scores(np.array([-1.0, 3.0, 40.0]), norm=2.0, rate=0.1)
    np.testing.assert_allclose(scores, [0.0, 0.15, 0.5], rtol=1e-6, atol=0)


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


def test_proxy_training_step_by_step() -> None:
    """Three proxy updates, recomputed from the domains' own gradients."""
    task = unequal_task()
    made = prepared(Doge, task, proxy_share=0.25, proxy_rate_factor=3.0, movement=2.0)
    proxy = twin(task.model).eval()
    optimizer = build_optimizer(list(proxy.parameters()))
    weights, uniform = np.full(3, 1 / 3), np.full(3, 1 / 3)
    rates = [inverse_square_root(step, 3 * 0.003, 1) for step in range(3)]
    for step, rate in enumerate(rates):
        batch = made.domain_batch(step, uniform)
        labels = task.generic.domains(batch.positions)
        target = task.target_batch(step, stream="doge").rows
        toward = clip(gradient(proxy, target, token_share(target))[1])
        alignment, norms = np.full(3, np.nan), []
        along = {name: torch.zeros_like(value) for name, value in toward.items()}
        for domain in set(labels):
            rows = batch.rows[torch.from_numpy(labels == domain)]
            own = clip(gradient(proxy, rows, token_share(rows))[1])
            alignment[domain] = float(dot(own, toward))
            norms.append(float(flat(own).norm()))
            share = weights[domain] / weights[sorted(set(labels))].sum()
            along = {name: along[name] + share * own[name] for name in along}
        for name, value in proxy.named_parameters():
            value.grad = along[name].float()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        alignment[np.isnan(alignment)] = np.nanmean(alignment)
        raised = weights * np.exp(
            2.0 / sum(rates) * rate * np.clip(alignment / np.mean(norms), 0, 5)
        )
        weights = raised / raised.sum()
        np.testing.assert_allclose(made.trajectory[step], weights, rtol=0, atol=1e-5)
    assert np.ptp(weights) > 0.1


@pytest.mark.parametrize("factor", [0.5, 3.0])
@pytest.mark.parametrize("steps", [100, 10_000])
def test_weights_move_as_far_in_runs_of_any_length_and_rate(steps: int, factor: float) -> None:
    """Scores of one and a half of the rate at every step: log a_0 / a_1 ends at half the sum."""
    made = build(Doge, unequal_task(steps=steps), proxy_rate_factor=factor, movement=6.0)
    log_weights = np.log([0.5, 0.5])
    for step in range(made.proxy_steps):
        rate = made.proxy_rate_at(step)
        scores = doge_scores(np.array([1.0, 0.5]), norm=1.0, rate=rate)
        log_weights = doge_update(log_weights, scores, made.mu)
    assert log_weights[0] - log_weights[1] == pytest.approx(6.0 / 2, rel=1e-5)


def test_batches_cover_domains_uniformly() -> None:
    made = build(Doge, unequal_task(big_batch_size=600, batch_size=600))
    batch = made.domain_batch(0, np.full(3, 1 / 3))
    labels = made.task.generic.domains(batch.positions)
    assert np.bincount(labels).min() > 150


def test_weight_goes_to_the_targets_domain(corpora_tasks: MakeTask) -> None:
    made = prepared(Doge, corpora_tasks(steps=200), proxy_rate_factor=3.0)
    assert made.domains.names[int(made.weights.argmax())] == "harbour"
    assert made.weights[1] > 1.2 * made.domains.shares[1]


def test_bill(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks(steps=20)
    made = build(Doge, task, proxy_share=0.5)
    preparation = charged(task, made.prepare)
    # A gradient of the step's rows, by domain, and one of as many target rows.
    assert preparation / training_step_flops(task) == pytest.approx(10 * 2, rel=0.02)
    assert task.meter.target_passes == pytest.approx(10 * 8 / 100)
    assert task.meter.examples == 10 * 8
