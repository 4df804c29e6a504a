"""Contrastive selection: its phases, what it selects, its bill, and resuming across phases."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.online.cds import Contrastive, largest_falls, loss_change
from benchmark.api.auxiliary import rate_at, score, train, twin
from benchmark.api.state import state_of
from benchmark.api.task import Task
from benchmark.models.checkpoint import load_model_state, model_state, weights_hash
from benchmark.models.optimisation import build_optimizer, update
from tests.baselines.mixtures.mixture_tasks import (
    assert_refused,
    charged,
    restored,
    training_step_flops,
    weights_of,
)
from tests.baselines.tasks import MakeTask, build

START = 4
"""A third of the twelve steps of a test's task."""


def test_changes_are_rounded_before_they_are_compared() -> None:
    before = torch.tensor([2.0, 2.0, 2.0, 2.0])
    after = torch.tensor([1.5, 1.0001, 1.0, 3.0])
    change = loss_change(before, after)
    assert change.dtype == torch.float16
    assert change.tolist() == [-0.5, -1.0, -1.0, 1.0]
    assert largest_falls(change, 3).tolist() == [1, 2, 0], "ties go to the lower index"
    tied = (torch.arange(20_000) % 3).half()
    assert largest_falls(tied, 4).tolist() == [0, 3, 6, 9]


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25]), min_size=4, max_size=400))
def test_largest_falls(values: list[float]) -> None:
    chosen = largest_falls(torch.tensor(values, dtype=torch.float16), 4).tolist()
    assert chosen == sorted(range(len(values)), key=lambda place: (values[place], place))[:4]


def test_pretrains_then_selects(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    method = build(Contrastive, task)
    for step in range(START):
        batch = method.batch(step)
        np.testing.assert_array_equal(batch.positions, task.generic_batch(step).positions)
        assert not method.observe(step)
    before = weights_of(task)
    for step in (START, START + 1):
        batch, big = method.batch(step), task.big_batch(step)
        assert len(batch) == task.batch_size
        assert set(batch.positions) <= set(big.positions)
        assert batch.positions.tolist() != task.generic_batch(step).positions.tolist()
        figures = method.observe(step)
        assert figures["loss_change/chosen"] < figures["loss_change/offered"]
    assert torch.equal(weights_of(task), before), "the main model is left alone"


def test_scores_ahead_where_the_steps_left_are_offered_more_rows_than_there_are(
    corpora_tasks: MakeTask,
) -> None:
    """Of 36 steps, 24 are left after pretraining: 1,536 rows of 64 a step, and 24 x 56 = 1,344."""
    for offered, ahead in ((8, True), (7, False)):
        method = build(Contrastive, corpora_tasks(steps=36), downsampling=offered)
        assert method.scores_ahead(12) == ahead
        method.batch(12)
        assert (method.changes is not None) == ahead


@pytest.mark.parametrize("downsampling", [8, 3])
def test_scores_kept_are_those_of_fresh_ones(
    corpora_tasks: MakeTask, downsampling: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit of half precision, however rows are cut into parts."""
    monkeypatch.setattr("benchmark.api.auxiliary.SCAN_ROWS", 1000)
    chosen = []
    for ahead in (True, False):
        monkeypatch.setattr(Contrastive, "scores_ahead", lambda *_, ahead=ahead: ahead)
        method = build(Contrastive, corpora_tasks(steps=36), downsampling=downsampling)
        chosen.append([method.batch(step).positions.tolist() for step in range(12, 36)])
        places = method.task.generic_places(20, 64)
        chosen[-1].append(method.changes_of(places).view(torch.int16).tolist())
    assert chosen[0] == chosen[1]


def test_scoring_once_is_cheaper_where_it_is_done(
    corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    flops = {}
    for ahead in (True, False):
        monkeypatch.setattr(Contrastive, "scores_ahead", lambda *_, ahead=ahead: ahead)
        task = corpora_tasks(steps=120)
        method = build(Contrastive, task)
        flops[ahead] = charged(
            task, lambda method=method: [method.batch(step) for step in range(40, 120)]
        )
    adaptation = 12 * training_step_flops(corpora_tasks())
    scoring = {ahead: spent - adaptation for ahead, spent in flops.items()}
    # 80 steps of 64 rows against 1,460 rows once.
    assert scoring[False] / scoring[True] == pytest.approx(80 * 64 / 1460, rel=0.02)


def test_a_run_that_scores_ahead_resumes(corpora_tasks: MakeTask, tmp_path: Path) -> None:
    whole = train_main_model(build(Contrastive, corpora_tasks(steps=36)), 18)
    first = build(Contrastive, corpora_tasks(steps=36))
    rows = train_main_model(first, 14)
    assert set(state_of(first)) == {"changes"}, "the copies need not be kept"
    task = corpora_tasks(steps=36)
    load_model_state(task.model, model_state(first.task.model))
    again = restored(first, task, tmp_path / "state")
    assert isinstance(again, Contrastive)
    assert rows + train_main_model(again, 18, start=14) == whole


def test_the_copy_counts_its_own_steps(corpora_tasks: MakeTask) -> None:
    """Its rate rises from 0 again, as that of a new optimiser's; it does not go on from the main
    model's step.
    """
    task = corpora_tasks(steps=100)
    method = build(Contrastive, task, adaptation_share=0.1, adaptation_rate_factor=1.0)
    expected = twin(task.model)
    batches = partial(task.target_batch, stream="cds")
    train(task, expected, batches, 10, "cds adaptation", rate=task.peak_rate)
    method.adapt()
    assert weights_hash(method.after) == weights_hash(expected)
    assert [rate_at(task, step, 10, 1.0) for step in (0, 1)] == [0.0, 1.0]


def test_selects_by_the_models_of_the_starting_step(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    method = build(Contrastive, task)
    before = twin(task.model)
    method.batch(START)
    load_model_state(task.model, {k: v + 0.1 for k, v in model_state(task.model).items()})
    big = task.big_batch(START + 1)
    change = loss_change(score(before, big.rows), score(method.after, big.rows))
    expected = big.positions[largest_falls(change, 8).numpy()]
    np.testing.assert_array_equal(method.batch(START + 1).positions, expected)


def test_selects_the_targets_subject(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks(steps=100)
    method = build(Contrastive, task, adaptation_rate_factor=1.5, adaptation_share=0.2)
    train_main_model(method, 33)
    positions = np.concatenate([method.batch(step).positions for step in range(33, 45)])
    harbour = task.generic.domain_names.index("harbour")
    assert (task.generic.domains(positions) == harbour).mean() > 0.6


def test_bill_of_each_kind_of_step(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks(steps=30)
    method = build(Contrastive, task, downsampling=4)
    training = training_step_flops(task)
    flops = {
        method.hyperparameters.phase(step, task.steps): charged(
            task, lambda step=step: method.batch(step)
        )
        / training
        for step in (9, 10, 11)
    }
    # Two forward passes, each a third of a training step, over four times the rows.
    scoring = 2 / 3 * 4
    assert flops["pretraining"] == 0
    assert flops["selection"] == pytest.approx(scoring, rel=0.05)
    assert flops["adaptation"] - flops["selection"] == pytest.approx(3, rel=1e-3)
    assert task.meter.target_passes == pytest.approx(3 * 8 / 100)
    assert task.meter.examples == 3 * 8


def test_a_function_of_the_seed(corpora_tasks: MakeTask) -> None:
    chosen = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(chosen))
        chosen.append(build(Contrastive, corpora_tasks(seed=seed)).batch(START).positions.tolist())
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize("stop", [2, START, START + 3])
def test_resumes_in_every_phase(corpora_tasks: MakeTask, stop: int, tmp_path: Path) -> None:
    """Stopped before ``stop``: after pretraining steps, before the copy is taken, and after."""
    whole = train_main_model(build(Contrastive, corpora_tasks()), 10)
    first = build(Contrastive, corpora_tasks())
    rows = train_main_model(first, stop)
    task = corpora_tasks()
    load_model_state(task.model, model_state(first.task.model))
    again = restored(first, task, tmp_path / "state")
    assert isinstance(again, Contrastive)
    rows += train_main_model(again, 10, start=stop)
    assert rows == whole


def test_pretraining_may_be_skipped(corpora_tasks: MakeTask) -> None:
    method = build(Contrastive, corpora_tasks(), pretrain_share=0.0)
    assert method.hyperparameters.phase(0, method.task.steps) == "adaptation"
    method.batch(0)
    assert method.observe(0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pretrain_share", 1.0),
        ("adaptation_share", 0.0),
        ("adaptation_rate_factor", -0.1),
        ("downsampling", 1),
    ],
)
def test_bad_settings_are_refused(content: dict[str, Any], key: str, value: Any) -> None:
    assert_refused(content, "cds", key, value)


def train_main_model(method: Contrastive, stop: int, start: int = 0) -> list[list[int]]:
    """Plain descent without optimiser state, so that weights are all there is to restore."""
    task: Task = method.task
    positions = []
    for step in range(start, stop):
        batch = method.batch(step)
        torch.manual_seed(step)
        update(task.model, build_optimizer(list(task.model.parameters())), batch, 0.003)
        positions.append(batch.positions.tolist())
    return positions
