"""On the models of every task: influences, gradients and outer gradients are those of autograd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from baselines.online.dds import DDS
from baselines.online.soba import SOBA
from benchmark.api.cost import CostMeter
from benchmark.api.task import Task
from benchmark.contract import Problem
from benchmark.core.tasks import find_task, task_names
from benchmark.models.influence import (
    dot,
    gradient,
    hessian_product,
    influence,
    parameters_of,
    without_dropout,
)
from benchmark.models.losses import per_example_loss, token_counts, token_share
from benchmark.models.row_gradients import RowGradients
from benchmark.models.whole_gradients import flat_row_gradients

ROWS = 6


@pytest.fixture(scope="module", params=task_names())
def problem(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return Problem(tmp_path_factory.mktemp("tasks"), request.param)


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def model(problem: Problem) -> nn.Module:
    return problem.model().double()


@pytest.fixture
def rows(problem: Problem) -> Tensor:
    return torch.from_numpy(problem.data.generic.tokens(np.arange(ROWS)))


def each_gradient(model: nn.Module, rows: Tensor) -> list[dict[str, Tensor]]:
    """The gradient of each row's loss, by a backward pass each."""
    point = {k: v.requires_grad_() for k, v in parameters_of(model).items()}
    found = []
    with without_dropout(model):
        for row in rows:
            losses = functional_call(model, point, (row[None],))
            loss = losses.sum() / token_counts(row[None])[0]
            parts = torch.autograd.grad(loss, list(point.values()))
            found.append(dict(zip(point, parts, strict=True)))
    return found


def test_only_cells_above_zero_have_a_loss(model: nn.Module, rows: Tensor) -> None:
    with torch.no_grad():
        losses = model(rows)
    assert losses.shape == rows.shape
    assert (losses[rows > 0] > 0).all()
    assert not losses[rows <= 0].any()


def test_rows_do_not_depend_on_each_other(model: nn.Module, rows: Tensor) -> None:
    with torch.no_grad(), without_dropout(model):
        together = per_example_loss(model, rows)
        alone = torch.cat([per_example_loss(model, row[None]) for row in rows])
    torch.testing.assert_close(together, alone)


def test_influences_and_gradients_are_those_of_single_rows(model: nn.Module, rows: Tensor) -> None:
    each = each_gradient(model, rows)
    weights = torch.linspace(0.1, 1.0, ROWS)
    combined = {k: sum(w * g[k] for w, g in zip(weights, each, strict=True)) for k in each[0]}
    direction = each[0]
    along = torch.stack([dot(g, direction) for g in each])
    torch.testing.assert_close(influence(model, rows, direction), along)
    shared = RowGradients(model, rows)
    torch.testing.assert_close(shared.along(direction), along)
    for found in (gradient(model, rows, weights)[1], shared.combined(weights)):
        for name, value in found.items():
            torch.testing.assert_close(value, combined[name])
    flat, losses, _ = flat_row_gradients(model, rows)
    theirs = torch.stack([torch.cat([value.flatten() for value in g.values()]) for g in each])
    torch.testing.assert_close(flat, theirs)
    torch.testing.assert_close(shared.products(), theirs @ theirs.T)
    with torch.no_grad(), without_dropout(model):
        torch.testing.assert_close(losses, per_example_loss(model, rows))


def test_hessian_products_are_those_of_a_double_backward(model: nn.Module, rows: Tensor) -> None:
    direction = each_gradient(model, rows[:1])[0]
    weights = token_share(rows)
    point = {k: v.requires_grad_() for k, v in parameters_of(model).items()}
    with without_dropout(model), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        losses = functional_call(model, point, (rows,)).sum(1) / token_counts(rows)
        first = torch.autograd.grad(weights @ losses, list(point.values()), create_graph=True)
        inner = sum((g * direction[k]).sum() for k, g in zip(point, first, strict=True))
        assert isinstance(inner, Tensor)
        second = torch.autograd.grad(
            inner, list(point.values()), allow_unused=True, materialize_grads=True
        )
    found = hessian_product(model, rows, weights, direction)
    for name, value in zip(point, second, strict=True):
        torch.testing.assert_close(found[name], value)


def made_task(problem: Problem, model: nn.Module) -> Task:
    data, config = problem.data, problem.run("pretraining", {}, {}).data
    kind = find_task(problem.task)
    return Task(
        model=model,
        generic=data.generic,
        target=data.target_train.tokens(np.arange(len(data.target_train))),
        vocabulary_size=data.vocabulary_size,
        batch_size=4,
        big_batch_size=16,
        steps=4,
        seed=0,
        meter=CostMeter(),
        learning_rate=lambda _: 0.01,
        decode=kind.decoder(config),
        image=kind.image(config),
    )


@pytest.mark.parametrize("method", [DDS, SOBA])
def test_outer_gradients_are_those_of_a_double_backward(
    problem: Problem, model: nn.Module, rows: Tensor, method: Any
) -> None:
    """The network's gradient of <sum_i w_i g_i, u>, with the direction u held fixed."""
    task = made_task(problem, model)
    settings = {**method.Hyperparameters.for_checks}
    selector = method(task, method.Hyperparameters.model_validate(settings))
    if "prepare" in vars(method):
        selector.prepare()
    target = task.target_batch(0, stream="outer").rows
    weights = selector.weigh(rows)
    generic = RowGradients(model, rows)
    state = torch.random.get_rng_state()
    direction, scale = selector.direction(0, generic, weights.detach(), target)
    each = each_gradient(model, rows)
    pulled = sum(
        w * dot(g, {k: direction[k] for k in g}) for w, g in zip(weights, each, strict=True)
    )
    assert isinstance(pulled, Tensor)
    theirs = torch.autograd.grad(pulled * scale, list(selector.network.parameters()))
    torch.random.set_rng_state(state)
    pulls = generic.along(direction) * scale
    weights = selector.weigh(rows)
    ours = torch.autograd.grad(weights, list(selector.network.parameters()), grad_outputs=pulls)
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected)
    assert any(value.abs().max() > 0 for value in ours)
