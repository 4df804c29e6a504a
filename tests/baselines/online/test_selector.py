"""What the cheaper updates of an online selector compute."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from baselines.online.anograd import ANOGRAD
from baselines.online.dds import DDS
from baselines.online.selector import BilevelSelector
from baselines.online.soba import SOBA
from benchmark.api import RowGradients, Task, UserError
from benchmark.data import PreparedData
from benchmark.models.optimisation import build_optimizer, update
from tests.baselines.tasks import build, corpora_task, prepare_corpora

SMALL = {"network": {"embedding": 8, "hidden": 8}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    folder: Path = tmp_path_factory.mktemp("corpora")
    return prepare_corpora(folder)


def task_without_dropout(data: PreparedData) -> Task:
    task = corpora_task(data)
    for module in task.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return task


def network_of(selector: BilevelSelector) -> list[Tensor]:
    """All but the last bias, of which the true gradient is zero, and Adam's steps are rounding."""
    named = selector.network.named_parameters()
    return [value.detach().clone() for name, value in named if name != "score.bias"]


def step(selector: BilevelSelector, number: int, rate: float = 0.0) -> None:
    """One step as the loop makes it."""
    task = selector.task
    batch = selector.batch(number)
    task.last_update = update(
        task.model, build_optimizer(list(task.model.parameters())), batch, rate
    )
    selector.observe(number)


def moved(selector: BilevelSelector, number: int) -> bool:
    before = network_of(selector)
    step(selector, number)
    return any(
        not torch.equal(old, new) for old, new in zip(before, network_of(selector), strict=True)
    )


def test_rarer_updates(data: PreparedData) -> None:
    selector = build(DDS, corpora_task(data), update_every=3, **SMALL)
    assert [moved(selector, number) for number in range(7)] == [
        number % 3 == 0 for number in range(7)
    ]


@pytest.mark.parametrize(
    ("method", "settings"),
    [(DDS, {"look_ahead": 0.1}), (ANOGRAD, {}), (SOBA, {"hessian": False})],
)
def test_influences_of_an_update_are_those_of_a_pass_of_their_own(
    data: PreparedData, method: type[BilevelSelector], settings: dict[str, Any]
) -> None:
    """Without dropout, on the rows that were drawn; a rate of 0 leaves the target gradient too."""
    selector = build(method, task_without_dropout(data), from_update=True, **settings, **SMALL)
    other = build(method, task_without_dropout(data), **settings, **SMALL)
    batch = selector.batch(0)
    assert batch.keep is not None
    other.learn(0, RowGradients(other.task.model, batch.rows))
    step(selector, 0)
    made = selector.task.last_update
    assert made is not None
    assert made.gradients is not None
    # Sums over parameters are taken in this order: it is part of a result's bits.
    assert made.gradients.names == batch.keep
    for ours, theirs in zip(network_of(selector), network_of(other), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_smaller_updates(data: PreparedData, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def noted(
        self: DDS, step: int, generic: RowGradients, weights: Tensor, target: Tensor
    ) -> tuple[dict[str, Tensor], float]:
        del self, step, weights
        seen.append((len(generic.rows), len(target)))
        return {name: torch.zeros(()) for name in generic.names}, 1.0

    monkeypatch.setattr(DDS, "direction", noted)
    monkeypatch.setattr(RowGradients, "along", lambda self, _: torch.zeros(len(self.rows)))
    task = corpora_task(data)
    build(DDS, task, **SMALL).batch(0)
    build(DDS, task, sub_batch_rows=3, target_rows=5, **SMALL).batch(0)
    assert seen == [(task.batch_size, task.batch_size), (3, 5)]


def test_a_floor_under_the_effective_rows(data: PreparedData) -> None:
    """Of the draw: sharp weights are flattened to it, and the figure is of what was drawn by."""
    task = corpora_task(data)
    for floor in (0.0, 2.0):
        selector = build(DDS, task, effective_rows=floor, **SMALL)
        with torch.no_grad():
            selector.network.score.weight *= 1e4
        selector.batch(0)
        effective = math.exp(selector.observe(0)["weights_entropy"])
        if floor:
            assert effective == pytest.approx(floor * task.batch_size, rel=1e-3)
        else:
            assert effective < task.batch_size


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parts": ["nowhere"]}, r"parts: unknown part 'nowhere'.*blocks\.0"),
        ({"from_update": True}, "from_update: the gradients of rows cannot be told"),
    ],
)
def test_what_a_model_cannot_do_is_refused(
    data: PreparedData, settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = corpora_task(data)
    monkeypatch.setattr(type(task.model), "recordable", False)
    with pytest.raises(UserError, match=message) as caught:
        build(DDS, task, **settings, **SMALL)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (DDS, {"sub_batch_rows": 10_000}, r"sub_batch_rows: 10000 are more than the \d+ rows"),
        (SOBA, {"sub_batch_rows": 10_000}, r"sub_batch_rows: 10000 are more than the \d+ rows"),
        (
            DDS,
            {"effective_rows": 1000.0},
            r"effective_rows: 1000 batches are more than the \d+ offered",
        ),
    ],
)
def test_more_rows_than_there_are_is_refused(
    data: PreparedData, method: type[BilevelSelector], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        build(method, corpora_task(data), **settings, **SMALL)


def test_the_rows_of_an_update_are_named_once() -> None:
    with pytest.raises(ValidationError, match="sub_batch_rows: 4 goes with a pass"):
        DDS.Hyperparameters(from_update=True, sub_batch_rows=4)


def test_the_gradients_that_the_rows_trained_on_have_serve_the_update(data: PreparedData) -> None:
    """Only where the two are the same rows; a step on them moves the model as a fresh one does."""
    for settings in ({}, {"sub_batch_rows": 3}):
        task, other = task_without_dropout(data), task_without_dropout(data)
        batch = build(SOBA, task, **settings, **SMALL).batch(0)
        assert (batch.gradients is None) == bool(settings)
        for each, made in ((task, batch), (other, replace(batch, gradients=None))):
            update(each.model, build_optimizer(list(each.model.parameters())), made, 0.1)
        for ours, theirs in zip(task.model.parameters(), other.model.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_updates_of_parts_leave_the_rest_of_the_gradient_out(data: PreparedData) -> None:
    task = task_without_dropout(data)
    selector = build(SOBA, task, parts=["norm"], hessian=False, **SMALL)
    assert set(selector.v) == {"norm.weight", "norm.bias"}
    assert moved(selector, 1)
