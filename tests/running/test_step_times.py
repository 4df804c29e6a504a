"""Step times: phases by their share, turns in rounds, parts that add up; clocks are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import torch

from baselines.online.cds import ContrastiveHyperparameters
from baselines.online.dds import DDSHyperparameters
from benchmark.core.parts import DATA, MAIN_UPDATE, OUTER_UPDATE, PartTimes, timed
from benchmark.running.times.phases import course, mean_step, recurring, single, steps_by_phase
from benchmark.running.times.rounds import Timed, interleave, spread
from benchmark.running.times.stepper import Stepper
from benchmark.running.times.summary import method_times
from benchmark.study.step_times import PREPARATION, Overheads, seconds_at
from benchmark.study.study import RunSpec
from benchmark.training.loop import Trainer

OVERHEADS = Overheads(
    start_seconds=3.0,
    evaluation_seconds=0.5,
    test_seconds=0.25,
    checkpoint_seconds=0.125,
    checkpoint_bytes=500,
    weights_bytes=100,
)


def ticking(*seconds: float) -> Callable[[], float]:
    """A clock that shows these times, one a look."""
    times = iter(seconds)
    return lambda: next(times)


def steps(seconds: float, **parts: float) -> list[dict[str, Any]]:
    return [{"seconds": seconds, "parts": parts, "flops": 10 * seconds}]


def test_a_part_inside_another_counts_for_the_inner_one() -> None:
    parts = PartTimes(ticking(0, 2, 3, 7, 10, 11))
    with parts.listening():
        with timed(OUTER_UPDATE), timed(DATA):
            pass
        with timed(MAIN_UPDATE):
            pass
    assert parts.seconds == {OUTER_UPDATE: 6, DATA: 1, MAIN_UPDATE: 1}


def test_nobody_listens_after_the_listening() -> None:
    parts = PartTimes(ticking())
    with parts.listening():
        pass
    with timed(DATA):
        pass
    assert not parts.seconds


def test_each_phase_counts_by_its_share_of_the_steps() -> None:
    phases = steps_by_phase(DDSHyperparameters(update_every=4), 10)
    assert phases == {"learn": [0, 4, 8], "draw": [1, 2, 3, 5, 6, 7, 9]}
    assert mean_step(phases, {"learn": 10.0, "draw": 1.0}) == pytest.approx(3.7)


def test_a_phase_of_one_step_is_done_once() -> None:
    phases = steps_by_phase(ContrastiveHyperparameters(), 9)
    assert single(phases) == {"adaptation"}
    assert list(recurring(phases)) == ["pretraining", "selection"]
    assert single({"": [0]}) == set()
    assert single({"a": [0], "b": [1]}) == set()


def test_the_course_adds_up_every_step() -> None:
    phases = {"plain": [0, 1], "once": [2], "other": [3, 4, 5]}
    found = course(phases, {"plain": 1.0, "once": 10.0, "other": 2.0}, 5.0, [2, 4, 6])
    assert found == ((0, 5.0), (2, 7.0), (4, 19.0), (6, 23.0))
    assert [seconds_at(found, step) for step in (0, 1, 2, 5, 6)] == [5, 6, 7, 21, 23]


def test_methods_take_turns_and_rounds_begin_with_another() -> None:
    order: list[tuple[str, int]] = []

    def method(name: str) -> Callable[..., Any]:
        def turn(number: int) -> dict[str, Any]:
            order.append((name, number))
            return {"": steps(1.0)}

        return turn

    heard: list[tuple[int, int]] = []
    speeds = count(5.0)
    turns, products = interleave(
        [method("a"), method("b")], lambda: next(speeds), 3, lambda *how: heard.append(how)
    )
    assert order == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert [len(of_method) for of_method in turns] == [3, 3]
    assert products == [5.0, 6.0, 7.0]
    assert heard == [(done, 6) for done in range(6)]


def test_a_ratio_is_of_one_round_and_parts_add_up(spec: Callable[..., RunSpec]) -> None:
    run = spec("dds", {"update_every": 2}, steps=12, evaluate_every=6)
    phases = {"learn": list(range(0, 12, 2)), "draw": list(range(1, 12, 2))}
    turns = [
        {"learn": steps(4.0 * slow, data=2.0 * slow), "draw": steps(2.0 * slow, data=1.0 * slow)}
        for slow in (1, 5, 2)
    ]
    found = method_times(
        run,
        Timed(phases, turns),
        {PREPARATION: 1.0},
        [1.0, 5.0, 2.0],
        OVERHEADS,
        {"memory_bytes": 7},
    )
    assert (found.ratio.low, found.ratio.median, found.ratio.high) == (3.0, 3.0, 3.0)
    assert found.seconds.median == 6.0
    assert found.parts == {"data": pytest.approx(3.0), "other": pytest.approx(3.0)}
    assert found.flops == pytest.approx(10 * 6.0)
    assert found.course == ((0, 1.0), (6, 37.0), (12, 73.0))


def test_quartiles() -> None:
    assert spread([4.0]).model_dump() == {"low": 4.0, "median": 4.0, "high": 4.0}
    assert spread([3.0, 1.0, 2.0]).model_dump() == {"low": 1.5, "median": 2.0, "high": 2.5}


@pytest.fixture
def clock() -> Callable[[], float]:
    """A clock that goes one second on at each look."""
    seconds: Iterator[int] = count()
    return lambda: float(next(seconds))


def test_a_stepper_makes_steps_of_every_phase(
    spec: Callable[..., RunSpec], trainer: Callable[..., Trainer], clock: Callable[[], float]
) -> None:
    made = trainer(spec("dds", {"update_every": 3}, steps=9))
    stepper = Stepper(made, clock)
    weights = [value.clone() for value in made.model.parameters()]
    asked: list[int] = []
    batch = made.method.batch
    made.method.batch = lambda step: (asked.append(step), batch(step))[1]  # type: ignore[method-assign]
    assert stepper.begin() == {PREPARATION: 1.0}
    assert asked == [0, 3, 1, 2]
    del asked[:]
    turn = stepper.turn(1, 3)
    # The first of each turn does not count, and the phase's steps begin anew at their end.
    assert asked == [3, 6, 0, 3, 7, 8, 1, 2]
    assert {phase: len(taken) for phase, taken in turn.items()} == {"learn": 3, "draw": 3}
    learn, draw = turn["learn"][0], turn["draw"][0]
    assert OUTER_UPDATE in learn["parts"]
    assert OUTER_UPDATE not in draw["parts"]
    assert {DATA, MAIN_UPDATE} <= draw["parts"].keys()
    assert learn["flops"] > draw["flops"] > 0
    for before, after in zip(weights, made.model.parameters(), strict=True):
        assert torch.equal(before, after)


def test_a_stepper_does_once_what_a_run_does_once(
    spec: Callable[..., RunSpec], trainer: Callable[..., Trainer], clock: Callable[[], float]
) -> None:
    stepper = Stepper(trainer(spec("cds", steps=9)), clock)
    assert stepper.begin().keys() == {PREPARATION, "adaptation"}
    assert stepper.turn(0, 1).keys() == {"pretraining", "selection"}
    assert stepper.saving()["checkpoint_bytes"] > stepper.saving()["weights_bytes"] > 0
    assert not stepper.trainer.checkpoint.exists()


def test_a_measurement_of_some_rows_tells_of_all(
    spec: Callable[..., RunSpec], trainer: Callable[..., Trainer], clock: Callable[[], float]
) -> None:
    made = trainer(spec("pretraining", steps=9))
    rows = {name: len(getattr(made.data, name)) for name in ("target_valid", "generic_valid")}
    # By this clock, each measurement takes a second.
    assert Stepper(made, clock).evaluations() == {"evaluation_seconds": 2.0, "test_seconds": 1.0}
    few = Stepper(made, clock).evaluations(most=2)
    assert few["evaluation_seconds"] == sum(rows.values()) / 2
