"""One function of many things, in processes side by side; results come in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from threading import Thread
from typing import Any, TypeVar

from benchmark.core.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

WAITING_A_PROCESS = 2
SECONDS_BETWEEN_LOOKS = 0.5

_function: Callable[[Any], Any]


def map_in_processes(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    processes: int,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """``function`` of each item, in order, as of :func:`side_by_side`."""
    with side_by_side(function, processes, meanwhile) as of_each:
        yield from of_each(items)


@contextmanager
def side_by_side(
    function: Callable[[Item], Result],
    processes: int,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[Callable[[Iterable[Item]], Iterator[Result]]]:
    """Inside, what gives ``function`` of each of some items, in order; of one process, here.

    Function, items and results are pickled between the processes, and never to a file. At most
    two items a process are taken ahead of what has been asked for. ``meanwhile`` is called about
    twice a second while a result is waited for. The processes start with the first item and end
    with this one, however it ends.

    Raises:
        UserError: a process was killed.
    """
    if processes == 1:
        yield lambda items: map(function, items)
        return
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _begin, (function,))

    def of_each(items: Iterable[Item]) -> Iterator[Result]:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(_call, item))
            if len(waiting) == WAITING_A_PROCESS * processes:
                yield _result(waiting.popleft(), meanwhile)
        while waiting:
            yield _result(waiting.popleft(), meanwhile)

    try:
        yield of_each
    except BrokenProcessPool:
        raise UserError(
            f"one of {processes} processes was killed, by a crash inside a library or for want of "
            "memory: take fewer at a time"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
            process.join()


def _result(future: Future[Result], meanwhile: Callable[[], None]) -> Result:
    while True:
        try:
            return future.result(SECONDS_BETWEEN_LOOKS)
        except TimeoutError:
            if future.done():
                return future.result()
            meanwhile()


def _begin(function: Callable[[Any], Any]) -> None:
    """What each process does first."""
    global _function
    _function = function
    # A Ctrl-C is for the process that asks, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The processes are what is parallel.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _call(item: Any) -> Any:
    return _function(item)
