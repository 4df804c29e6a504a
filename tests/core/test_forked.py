"""Work of forked processes: in order, from shared memory, with the errors of the work itself."""

from __future__ import annotations

import os
import signal
from concurrent.futures.process import BrokenProcessPool

import pytest

from benchmark.core import forked
from benchmark.core.errors import UserError
from benchmark.core.forked import fork_map


@pytest.fixture(autouse=True)
def _cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked, "_cores", lambda: 2)


def test_results_come_in_the_order_of_the_items_and_from_other_processes() -> None:
    # A function that cannot be sent, only inherited.
    unsendable = [lambda number=number: number**2 for number in range(6)]
    made = fork_map(lambda number: (unsendable[number](), os.getpid()), range(6))
    assert [square for square, _ in made] == [0, 1, 4, 9, 16, 25]
    assert os.getpid() not in {process for _, process in made}


def test_one_item_needs_no_other_process() -> None:
    assert fork_map(lambda _: os.getpid(), ["alone"]) == [os.getpid()]
    assert fork_map(lambda _: os.getpid(), []) == []


def test_an_error_of_the_work_is_raised_as_it_is() -> None:
    def fail(name: str) -> str:
        if name == "bad":
            raise UserError("this name is bad")
        return name

    with pytest.raises(UserError, match="this name is bad"):
        fork_map(fail, ["good", "bad", "good"])


def test_a_killed_process_is_an_error_and_no_endless_wait() -> None:
    with pytest.raises(BrokenProcessPool):
        fork_map(lambda _: os.kill(os.getpid(), signal.SIGKILL), [1, 2])
