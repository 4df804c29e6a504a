"""The next step's rows, fetched by a thread while this step is computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from torch import Tensor

Fetched = tuple[Tensor, np.ndarray]


class Ahead:
    """Rows by step and size; those of the next step are begun where steps are taken in turn.

    ``fetch(step, size)`` depends on its arguments alone; at most one of its results is waiting.
    """

    def __init__(self, fetch: Callable[[int, int], Fetched], steps: int) -> None:
        self._fetch, self._steps = fetch, steps
        self._thread: ThreadPoolExecutor | None = None
        self._last: tuple[int, int] | None = None
        self._begun: tuple[tuple[int, int], Future[Fetched]] | None = None

    def take(self, step: int, size: int) -> Fetched:
        """The rows of ``step``, fetched now if they were not begun."""
        asked, begun = (step, size), self._begun
        self._begun = None
        if begun is not None and begun[0] == asked:
            found = begun[1].result()
        else:
            found = self._fetch(step, size)
        in_turn, self._last = self._last == (step - 1, size), asked
        if in_turn and step + 1 < self._steps:
            self._thread = self._thread or ThreadPoolExecutor(1, "rows ahead")
            following = (step + 1, size)
            self._begun = following, self._thread.submit(self._fetch, *following)
        return found
