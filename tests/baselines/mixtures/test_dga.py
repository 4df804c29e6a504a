"""DGA: its alignments against gradients of each domain, its updates by hand, its bill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.mixtures.dga import Dga, alignments
from benchmark.core.errors import UserError
from benchmark.models.influence import dot, gradient
from benchmark.models.losses import token_share
from benchmark.models.optimisation import build_optimizer, update
from tests.baselines.mixtures.mixture_tasks import (
    assert_refused,
    charged,
    restored,
    training_step_flops,
    unequal_task,
)
from tests.baselines.tasks import MakeTask, TextRows, build, make_task, prepared


def test_alignments_are_those_of_the_domains_own_gradients(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks(big_batch_size=24)
    batch, target = task.big_batch(0), task.target_batch(0).rows
    rows = batch.rows.clone()
    rows[::3, 20:] = 0  # Rows of different lengths, so that token weights matter.
    labels = task.generic.domains(batch.positions)
    found = alignments(task.model, rows, labels, target, 3)
    _, toward = gradient(task.model, target, token_share(target))
    for domain in range(3):
        own = rows[torch.from_numpy(labels == domain)]
        _, g = gradient(task.model, own, token_share(own))
        expected = float(dot(g, toward)) / float(dot(toward, toward))
        assert found[domain] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_a_domain_of_the_targets_own_rows_scores_one(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    target = task.target_batch(0).rows
    found = alignments(task.model, target, np.zeros(len(target), dtype=np.int64), target, 1)
    assert found[0] == pytest.approx(1.0, rel=1e-4)


def test_updates_by_hand(corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten steps, an update at 0, 4 and 8: step sizes of a third of the movement.

    Scores of log 2, 0 and log 3 at step sizes of one multiply a by 2, 1 and 3 at each update.
    """
    monkeypatch.setattr(Dga, "scores", lambda *_: np.log([2.0, 1.0, 3.0]))
    task = corpora_tasks(steps=10)
    method = prepared(Dga, task, update_every=4, movement=3.0, renewal=0.25)
    mixture = np.full(3, 1 / 3)
    for step in range(10):
        method.batch(step)
        if step in (0, 4, 8):
            raised = np.array([2.0, 1.0, 3.0]) ** (step / 4 + 1)
            mixture = 0.75 * mixture + 0.25 * raised / raised.sum()
        np.testing.assert_allclose(method.weights, mixture, rtol=0, atol=1e-12)
        assert list(method.observe(step).values()) == pytest.approx(mixture.tolist())


def test_an_update_scores_each_domain_by_a_batch_of_its_rows(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    method = prepared(Dga, task, domain_rows=20)
    rng = task.rng(3, "dga domains")
    drawn = [method.domains.draw(one, 20, rng) for one in np.eye(3)]
    for domain, positions in enumerate(drawn):
        assert set(task.generic.domains(positions)) == {domain}
    rows = task.generic_rows(np.concatenate(drawn)).rows
    target = task.target_batch(3, stream="dga").rows
    expected = alignments(task.model, rows, np.repeat([0, 1, 2], 20), target, 3)
    np.testing.assert_array_equal(method.scores(3), expected)


@pytest.mark.parametrize("domains", ["provenance", "clusters"])
def test_weight_goes_to_the_targets_domain(corpora_tasks: MakeTask, domains: str) -> None:
    """Of clusters: to those that rows about the target's subject are in."""
    task = corpora_tasks(steps=120)
    clusters = {"count": 8, "components": 8}
    method = prepared(Dga, task, update_every=5, renewal=0.3, domains=domains, clusters=clusters)
    positions = train_main_model(method, 120)[-30:]
    harbour = task.generic.domain_names.index("harbour")
    share = (task.generic.domains(np.concatenate(positions)) == harbour).mean()
    assert share > 0.6, "a third of the corpus"


def test_resumes_between_updates(corpora_tasks: MakeTask, tmp_path: Path) -> None:
    whole = prepared(Dga, corpora_tasks(), update_every=3)
    first = prepared(Dga, corpora_tasks(), update_every=3)
    for step in range(9):
        whole.batch(step)
    for step in range(5):
        first.batch(step)
    again = restored(first, corpora_tasks(), tmp_path / "state")
    for step in range(5, 9):
        again.batch(step)
    np.testing.assert_array_equal(again.weights, whole.weights)
    assert not np.array_equal(again.weights, first.weights)


def test_bill_of_each_kind_of_step() -> None:
    task = unequal_task()
    method = prepared(Dga, task, update_every=4)
    training = training_step_flops(task)
    flops = [charged(task, lambda step=step: method.batch(step)) / training for step in (4, 5)]
    # A target gradient, and a forward-mode pass over each of three domains.
    assert flops[0] == pytest.approx(1 + 3, rel=0.05)
    assert flops[1] == 0
    assert task.meter.target_passes == pytest.approx(8 / 100)


def test_one_source_has_no_domains_to_mix() -> None:
    rows = TextRows(["a row of text"] * 40)
    with pytest.raises(UserError, match=r"dga: domains: 'provenance' needs .* use 'clusters'"):
        build(Dga, make_task(rows, rows.array))


@pytest.mark.parametrize(
    ("key", "value"),
    [("update_every", 0), ("domain_rows", 0), ("movement", 0.0), ("renewal", 1.1)],
)
def test_bad_settings_are_refused(content: dict[str, Any], key: str, value: Any) -> None:
    assert_refused(content, "dga", key, value)


def train_main_model(method: Dga, steps: int) -> list[np.ndarray]:
    """Positions of the rows of each step."""
    model, positions = method.task.model, []
    optimizer = build_optimizer(list(model.parameters()))
    for step in range(steps):
        batch = method.batch(step)
        torch.manual_seed(step)
        update(model, optimizer, batch, method.task.learning_rate(step))
        positions.append(batch.positions)
    return positions
