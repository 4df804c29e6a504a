"""Work shared among processes that see all of this one's memory, without sending it to them."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_work: Callable[[Any], Any]


def fork_map(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``work`` of each item, in order, by as many processes as there are cores.

    Only items and results are sent. In this process alone where forking is not safe (not Linux).

    Raises:
        BrokenProcessPool: a process was killed.
        Exception: as ``work`` raised it.
    """
    processes = min(len(items), _cores())
    if processes < 2:
        return [work(item) for item in items]
    with ProcessPoolExecutor(processes, get_context("fork"), _adopt, (work,)) as pool:
        return list(pool.map(_call, items))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def _adopt(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    # Garbage collection of what came with the fork would copy all of its memory.
    gc.freeze()
    # Ctrl-C reaches every process; the first one stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _call(item: Any) -> Any:
    return _work(item)
