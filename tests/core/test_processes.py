"""A function of many things in processes side by side: order, errors, ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.core.processes import map_in_processes
from tests.conftest import wait_for


def squared(number: int) -> int:
    return number**2


def refuse_three(number: int) -> int:
    if number == 3:
        raise UserError(f"shard {number}: cut short")
    return number


def die_of_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order(processes: int) -> None:
    numbers = range(9)
    assert list(map_in_processes(squared, numbers, processes)) == [n**2 for n in numbers]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_is_the_one_of_the_first_item_that_has_one(processes: int) -> None:
    results = map_in_processes(refuse_three, range(9), processes)
    assert list(islice(results, 3)) == [0, 1, 2]
    with pytest.raises(UserError, match="shard 3: cut short"):
        next(results)
    wait_for(lambda: not multiprocessing.active_children())


def test_a_process_that_is_killed_is_told_in_a_line() -> None:
    with pytest.raises(UserError, match="one of 2 processes was killed") as caught:
        list(map_in_processes(die_of_three, range(9), 2))
    assert "\n" not in str(caught.value)


def test_few_items_are_taken_ahead() -> None:
    taken = []

    def items() -> object:
        for number in range(99):
            taken.append(number)
            yield number

    results = map_in_processes(squared, items(), 2)  # type: ignore[arg-type]
    next(results)
    assert len(taken) == 4
    results.close()  # type: ignore[attr-defined]
    wait_for(lambda: not multiprocessing.active_children())


SLEEPER = """
import os, sys, time
from benchmark.core.processes import map_in_processes

def work(path):
    open(path, "w").write(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    list(map_in_processes(work, sys.argv[1:], 2))
"""


def test_processes_end_with_the_one_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER)
    files = [tmp_path / "a", tmp_path / "b"]
    with subprocess.Popen([sys.executable, str(script), *map(str, files)]) as process:
        wait_for(lambda: all(file.exists() and file.read_text() for file in files))
        process.kill()
    workers = [Path("/proc") / file.read_text() for file in files]
    wait_for(lambda: not any(worker.exists() for worker in workers))
