"""Training auxiliary models: their rates, their dropout, their rows on the bill."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.api.auxiliary import rate_at, resized, train, train_step, twin
from benchmark.api.task import Task
from benchmark.core.errors import UserError
from benchmark.models.checkpoint import weights_hash
from benchmark.models.config import TransformerConfig
from benchmark.models.optimisation import build_optimizer
from benchmark.models.protocol import inverse_square_root
from tests.baselines.tasks import MakeTask


def test_the_peak_rate_is_the_highest_of_the_run(corpora_tasks: MakeTask) -> None:
    assert corpora_tasks(steps=12).peak_rate == 0.003
    assert corpora_tasks(steps=3).peak_rate == 0.0015, "a run that ends while rates still rise"


def test_the_default_rate_is_the_main_models_peak(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    default, given, other = (trained(task, rate=rate) for rate in (None, task.peak_rate, 0.001))
    assert torch.equal(default, given)
    assert not torch.equal(default, other)


def test_the_rate_rises_over_a_tenth_of_the_steps(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    for step in range(30):
        assert rate_at(task, step, 25, 0.01) == inverse_square_root(step, 0.01, 3)


def test_dropout_is_a_function_of_seed_purpose_and_step(corpora_tasks: MakeTask) -> None:
    weights = []
    for seed, purpose in ((0, "a"), (0, "a"), (0, "b"), (1, "a")):
        torch.rand(7 + len(weights))
        # The same rows for each seed, so that only dropout differs.
        weights.append(trained(corpora_tasks(seed=seed), purpose=purpose, rows_of=corpora_tasks()))
    first, again, other_purpose, other_seed = weights
    assert torch.equal(first, again)
    assert not torch.equal(first, other_purpose)
    assert not torch.equal(first, other_seed)


def test_rows_trained_on_are_on_the_bill(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    trained(task, steps=5)
    assert task.meter.bill().examples == 5 * task.batch_size


def test_a_loss_that_is_not_finite_is_reported(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    model = twin(task.model)
    nn.init.constant_(next(model.parameters()), float("nan"))
    optimizer = build_optimizer(list(model.parameters()))
    with pytest.raises(FloatingPointError, match=r"loss is nan \(reference 4\)"):
        train_step(task, model, optimizer, task.generic_batch(0), 0.01, "reference 4")


def test_a_resized_model_has_the_asked_size_and_the_tasks_rows(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    assert isinstance(task.model.size, TransformerConfig)
    made = resized(task, 2.0, "proxy")
    assert (made.size.layers, made.size.width, made.size.hidden) == (2, 32, 64)
    assert (made.size.heads, made.size.dropout) == (2, 0.0)
    rows = task.generic_batch(0).rows
    assert made(rows).shape == rows.shape
    smallest = resized(task, 0.01, "proxy").size
    assert (smallest.layers, smallest.width, smallest.hidden) == (1, 4, 1)
    assert resized(task, 0.01, "proxy")(rows).isfinite().all()


def test_a_resized_model_is_a_function_of_seed_and_purpose(corpora_tasks: MakeTask) -> None:
    hashes = []
    for seed, purpose in ((0, "a"), (0, "a"), (0, "b"), (1, "a")):
        torch.rand(3 + len(hashes))
        hashes.append(weights_hash(resized(corpora_tasks(seed=seed), 0.5, purpose)))
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_a_model_that_does_not_tell_its_size_cannot_be_resized(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    task.model = nn.Linear(2, 2)
    with pytest.raises(UserError, match=r"^proxy: scale 0.5 .* Linear does not: give 1"):
        resized(task, 0.5, "proxy")


def trained(
    task: Task,
    steps: int = 3,
    purpose: str = "test",
    rate: float | None = None,
    rows_of: Task | None = None,
) -> torch.Tensor:
    """All weights of a twin of the main model after some steps."""
    model = twin(task.model)
    train(task, model, (rows_of or task).generic_batch, steps, purpose, rate)
    return torch.cat([value.detach().flatten() for value in model.parameters()])
