"""What a step waits for: how often it asks the device, when losses are read, rows ahead of time."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from baselines.online.tap_scores import filled_up
from benchmark.api.ahead import Ahead
from benchmark.data import PreparedData
from benchmark.models.batch import Batch
from benchmark.models.checkpoint import weights_hash
from benchmark.models.optimisation import build_optimizer, update
from benchmark.models.transfer import Later, read_all, sent
from benchmark.study.study import RunSpec
from benchmark.training import loop
from benchmark.training.hooks import DivergedError, Hooks
from benchmark.training.loop import Trainer
from tests.baselines.tasks import MakeTask

MakeSpec = Callable[..., RunSpec]
MakeTrainer = Callable[..., Trainer]
Tensor = torch.Tensor
WAITING = {
    *(Tensor.item, Tensor.tolist, Tensor.cpu, Tensor.nonzero, torch.nonzero),
    *(Tensor.__bool__, Tensor.__float__, Tensor.__int__, Tensor.__index__),
}
"""What makes the processor wait for all that was asked of a device before."""


class Waits(TorchFunctionMode):
    """Counts what would wait for a device if the tensors were there."""

    count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        # Adam counts its steps on the processor, and reads them there.
        of_adam = "/torch/optim/" in sys._getframe(1).f_code.co_filename
        self.count += func in WAITING and not of_adam
        return func(*args, **(kwargs or {}))


class Log:
    """When losses are read, and when steps are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[str] = []
        self.made = 0
        log = self

        class Noted(Later):
            def __init__(self, value: Tensor) -> None:
                super().__init__(value)
                self.number, log.made = log.made, log.made + 1

            def read(self) -> float:
                log.events.append(f"read {self.number}")
                with torch._C.DisableTorchFunction():
                    return super().read()

        asked = loop.update

        def noted_update(*arguments: Any) -> Any:
            log.events.append("asked")
            return asked(*arguments)

        monkeypatch.setattr(loop, "Later", Noted)
        monkeypatch.setattr(loop, "update", noted_update)


METHODS = {
    "pretraining": 0,
    "random": 0,
    "dds": 1,
    "soba": 1,
    "anograd": 1,
    "classifier": 1,
    "cds": 1,
    "rho_loss": 1,
    "greats": 1,
}
"""Times that a step asks where the rows are that it chose."""


@pytest.mark.parametrize("name", METHODS)
def test_a_step_asks_the_device_once_at_most(
    name: str, spec: MakeSpec, trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(spec(name, steps=24, evaluate_every=24))
    log, waits = Log(monkeypatch), []
    made.prepare()
    for step in range(10):
        made.make_step(step, 0.001)
    log.events.clear()
    for step in range(10, 14):
        with Waits() as mode:
            made.make_step(step, 0.001)
        waits.append(mode.count)
    assert waits == [METHODS[name]] * 4
    # A loss is read when the step after it has been asked for.
    assert log.events == [each for n in range(9, 13) for each in ("asked", f"read {n}")]


@pytest.mark.parametrize("settings", [{"effective_rows": 2.0}, {"update_every": 2}])
def test_settings_of_selectors_make_no_step_wait(
    settings: dict[str, Any], spec: MakeSpec, trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(spec("dds", settings))
    Log(monkeypatch)
    for step in range(4):
        with Waits() as mode:
            made.make_step(step, 0.001)
        assert mode.count == 1


def test_tokens_that_occur_are_found_without_counting_them() -> None:
    tokens = torch.tensor([[5, 2, 5], [9, 2, 0]])
    expected, inverse = torch.unique(tokens, return_inverse=True)
    with Waits() as mode:
        occurring, places = filled_up(tokens, 12)
    assert mode.count == 0
    assert torch.equal(places, inverse)
    assert occurring.tolist() == [*expected.tolist(), 0, 0]
    assert torch.equal(occurring[places], tokens)


def break_at(made: Trainer, step: int) -> None:
    """Make the weights infinite before a step."""
    usual = made.method.batch

    def batch(at: int) -> Batch:
        if at == step:
            next(made.model.parameters()).data.fill_(math.inf)
        return usual(at)

    made.method.batch = batch  # type: ignore[method-assign]


@pytest.mark.parametrize("step", [0, 1, 6, 7, 11])
def test_a_loss_that_is_not_finite_is_told_of_the_step_that_it_is_of(
    step: int, spec: MakeSpec, trainer: MakeTrainer
) -> None:
    made = trainer(spec("pretraining"))
    break_at(made, step)
    with pytest.raises(DivergedError, match=f"training loss is nan at step {step} of") as error:
        made.run()
    assert error.value.step == step


def test_it_is_told_before_what_a_method_makes_of_it(spec: MakeSpec, trainer: MakeTrainer) -> None:
    made = trainer(spec("pretraining"))
    break_at(made, 5)
    usual = made.method.batch

    def fails_after(step: int) -> Batch:
        if step == 6:
            raise RuntimeError("no such row")
        return usual(step)

    made.method.batch = fails_after  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match="training loss is nan at step 5"):
        made.run()


def test_no_step_is_made_on_a_loss_that_is_not_finite(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    optimizer = build_optimizer(task.model.parameters())
    batch = task.generic_batch(0)
    update(task.model, optimizer, batch, 0.1)
    before, moments = weights_hash(task.model), optimizer.state_dict()["state"][0]["step"].clone()
    spoilt = Batch(batch.rows, batch.positions, torch.full((len(batch),), math.nan))
    assert math.isnan(update(task.model, optimizer, spoilt, 0.1).loss)
    assert weights_hash(task.model) == before
    assert optimizer.state_dict()["state"][0]["step"] == moments
    update(task.model, optimizer, batch, 0.1)
    assert weights_hash(task.model) != before


def test_checkpoints_hold_every_loss(spec: MakeSpec, trainer: MakeTrainer) -> None:
    heard: list[float] = []
    made = trainer(
        spec("pretraining", evaluate_every=5), Hooks(on_step=lambda *a: heard.append(a[3]))
    )
    made.prepare()
    for step in range(3):
        made.make_step(step, 0.001)
    state = made._state()["progress"]
    assert (state["step"], state["loss_count"]) == (3, 3)
    assert heard[0] == heard[1] != heard[2]


def test_rows_are_fetched_ahead_by_a_thread_where_steps_are_taken_in_turn() -> None:
    by: dict[tuple[int, int], str] = {}

    def fetch(step: int, size: int) -> tuple[Tensor, np.ndarray]:
        by[step, size] = threading.current_thread().name
        return torch.full((size,), step), np.arange(size)

    ahead = Ahead(fetch, steps=6)
    taken = [int(ahead.take(step, 2)[0][0]) for step in (0, 1, 2, 3, 4, 5)]
    assert taken == [0, 1, 2, 3, 4, 5]
    main = threading.current_thread().name
    assert [by[step, 2] == main for step in range(6)] == [True, True, False, False, False, False]
    assert int(ahead.take(1, 3)[0][0]) == 1
    assert (6, 2) not in by, "no step after the last"
    assert (2, 3) not in by, "one step is no turn"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_narrow_rows_arrive_as_they_are(dtype: Any) -> None:
    largest = min(int(np.iinfo(dtype).max), 2**31 - 1)
    rows = np.array([[0, 1, largest]], dtype=dtype)
    arrived = sent(rows, torch.device("cpu")).to(torch.int64)
    assert arrived.tolist() == [[0, 1, largest]]


def test_rows_are_stored_as_narrow_as_they_go(data: PreparedData) -> None:
    positions = np.arange(5)
    stored = data.generic.stored(positions)
    assert stored.dtype == np.uint8
    np.testing.assert_array_equal(stored, data.generic.tokens(positions))


def test_figures_are_read_together() -> None:
    given = {"a": torch.tensor(0.1), "b": 2.0, "c": torch.tensor(3), "d": torch.tensor(True)}
    with Waits() as mode:
        read = read_all(given)
    assert mode.count == 1
    assert read == {"a": float(torch.tensor(0.1)), "b": 2.0, "c": 3.0, "d": 1.0}
    assert list(read) == list(given)
