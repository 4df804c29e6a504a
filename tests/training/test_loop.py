"""The loop: streams of rows, divergence, fine-tuning's rule, the bill. See also tests/contract."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from benchmark.data import PreparedData
from benchmark.models.batch import Batch
from benchmark.study.study import RunSpec
from benchmark.training.hooks import DivergedError
from benchmark.training.loop import Trainer

MakeSpec = Callable[..., RunSpec]
MakeTrainer = Callable[..., Trainer]


def test_small_batch_is_the_front_of_the_big_one(spec: MakeSpec, trainer: MakeTrainer) -> None:
    small = trainer(spec("pretraining"), name="a").task
    big = trainer(spec("dds"), name="b").task
    for step in (0, 1, 7, 400):
        offered = big.big_batch(step)
        taken = small.generic_batch(step)
        np.testing.assert_array_equal(offered.positions[: len(taken)], taken.positions)
        torch.testing.assert_close(offered.rows[: len(taken)], taken.rows)


def test_an_epoch_offers_every_generic_row_once(spec: MakeSpec, trainer: MakeTrainer) -> None:
    task = trainer(spec("pretraining")).task
    steps = len(task.generic) // task.big_batch_size
    seen = np.concatenate([task.big_batch(step).positions for step in range(steps)])
    assert len(np.unique(seen)) == len(seen)


def test_pretraining_meets_every_row_once_before_any_twice(
    spec: MakeSpec, trainer: MakeTrainer
) -> None:
    """At eight rows of blocks of 64, long after the blocks have repeated."""
    task = trainer(spec("pretraining")).task
    size = len(task.generic)
    read = [task.generic_batch(step).positions for step in range(size // task.batch_size)]
    assert len(np.unique(np.concatenate(read))) == sum(map(len, read)) > 0.99 * size


def test_target_streams_are_different_orders_of_the_same_rows(
    spec: MakeSpec, trainer: MakeTrainer
) -> None:
    task = trainer(spec("pretraining")).task
    size = task.target_size
    first, second = (task.target_batch(0, size, stream).rows.tolist() for stream in ("a", "b"))
    assert first != second
    assert sorted(first) == sorted(second)


def test_a_task_does_not_lead_to_held_out_rows(
    spec: MakeSpec, trainer: MakeTrainer, data: PreparedData
) -> None:
    """Nothing that can be reached from a task's attributes holds a valid or test row."""
    task = trainer(spec("pretraining")).task
    held_out = {
        row.tobytes()
        for view in (data.target_valid, data.target_test, data.generic_valid)
        for row in view.tokens(np.arange(len(view)))
    }
    reached = [task.target_sample().numpy()]
    reached.append(task.generic.tokens(np.arange(len(task.generic))))
    touched = {row.tobytes() for rows in reached for row in np.ascontiguousarray(rows)}
    assert not touched & held_out
    assert not any("valid" in name or "test" in name for name in vars(task))


def test_big_batch_too_small_is_refused(spec: MakeSpec, trainer: MakeTrainer) -> None:
    from benchmark.core.errors import UserError

    run = spec("dds", {"downsampling": 16})
    with pytest.raises(UserError, match=r"training\.big_batch: 64 .* raise it to 128"):
        trainer(run).run()


def test_divergence_names_the_step(spec: MakeSpec, trainer: MakeTrainer) -> None:
    run = trainer(spec("pretraining"))
    healthy = run.method.batch

    def poisoned(step: int) -> Batch:
        batch = healthy(step)
        weight = torch.full((len(batch),), math.nan if step == 5 else 1.0)
        return dataclasses.replace(batch, weights=weight)

    run.method.batch = poisoned  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match="training loss is nan at step 5 of stage 'trained'"):
        run.run()
    assert all(bool(p.isfinite().all()) for p in run.model.parameters())


def test_fine_tuning_keeps_the_best_step_on_valid(spec: MakeSpec, trainer: MakeTrainer) -> None:
    run = spec("target_only")
    aggressive = run.fine_tuning.model_copy(
        update={"steps": 400, "rate": 0.5, "evaluate_every": 5, "patience": 2}
    )
    run = run.model_copy(update={"fine_tuning": aggressive})
    made = trainer(run)
    trained, tuned = made.run()
    losses = {0: trained.valid_loss} | {
        line["step"]: line["valid_loss"]
        for line in made.progress.metrics
        if line["stage"] == "fine_tuned"
    }
    assert tuned.valid_loss == min(losses.values()) == losses[tuned.step]
    assert max(losses) == tuned.step + 10, "stops after two evaluations without a better one"


def test_the_target_sample_alone_counts_at_its_best_step(
    spec: MakeSpec, trainer: MakeTrainer
) -> None:
    """At a rate at which each further step makes it worse, some step of the first few."""
    run = spec("target_only", {"step": "best"}, rate=2.0, steps=40, evaluate_every=2, warmup=40)
    trained, tuned = (made := trainer(run)).run()
    losses = {
        line["step"]: line["valid_loss"]
        for line in made.progress.metrics
        if line["stage"] == "trained"
    }
    assert trained.valid_loss == min(losses.values()) == losses[trained.step]
    assert trained.step < 40 == max(losses), "and yet it has made, and pays for, all steps"
    assert trained.rule == "best step on valid, step 0 included"
    assert trained.cost.examples == 40 * 8
    assert tuned.valid_loss <= trained.valid_loss, "fine-tuning starts at the best step"
    last = trainer(spec("target_only", {"step": "last"}, **vars(run.training)), name="l").run()[0]
    assert (last.step, last.valid_loss, last.rule) == (40, losses[40], "last step")


def test_the_bill_adds_up(spec: MakeSpec, trainer: MakeTrainer) -> None:
    bills = {
        name: trainer(spec(name), name=name).run()[0].cost
        for name in ("pretraining", "dds", "mixing")
    }
    assert bills["pretraining"].parts["training"] > 0
    assert bills["pretraining"].target_passes == 0
    assert bills["pretraining"].examples == 12 * 8
    assert bills["mixing"].parts["training"] == 2 * bills["pretraining"].parts["training"]
    assert bills["mixing"].examples == 2 * bills["pretraining"].examples
    assert bills["dds"].parts["training"] == bills["pretraining"].parts["training"]
    # A target gradient; and of the sub-batch, gradient and influences from four thirds of a pass.
    ratio = bills["dds"].parts["selection"] / bills["dds"].parts["training"]
    assert ratio == pytest.approx(1 + 4 / 3, rel=0.05)
    assert bills["dds"].target_passes == pytest.approx(12 * 8 / 100)


def test_flops_are_those_of_the_architecture(spec: MakeSpec, trainer: MakeTrainer) -> None:
    """Matrix products of a one-layer model, counted by hand."""
    made = trainer(spec("pretraining"))
    batch, length, width, hidden, vocabulary = 8, 48, 16, 32, 256
    kernels = 3 * width * width + width * width + 2 * width * hidden + width * vocabulary
    forward = 2 * batch * length * kernels + 2 * 2 * batch * length * length * width
    # Backward: twice the products; the fused attention also recomputes its scores.
    total = 3 * forward + 2 * batch * length * length * width
    bill = made.run()[0].cost
    assert bill.parts["training"] / 12 == pytest.approx(total, rel=0.01)
