"""The parts of a step by name, for whoever times them; nothing happens while nobody listens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

DATA = "data"
"""Rows drawn and fetched: the batch, the big batch, rows of the target sample."""

SCORING = "scoring"
"""Scoring rows to choose from."""

OUTER_UPDATE = "outer update"
"""Training of what a method learns by: a weight network, a classifier, a copy."""

MAIN_UPDATE = "main update"
"""The update of the main model."""

PARTS = (DATA, SCORING, OUTER_UPDATE, MAIN_UPDATE)


class PartTimes:
    """Seconds by part of what is done while it listens.

    A part inside another counts for the inner one alone, so that the parts add up.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._clock = clock
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear of the parts inside."""
        token = _listener.set(self)
        try:
            yield
        finally:
            _listener.reset(token)

    @contextmanager
    def inside(self, part: str) -> Iterator[None]:
        """Count the time inside for ``part``."""
        self._close()
        self._open.append(part)
        try:
            yield
        finally:
            self._close()
            self._open.pop()

    def _close(self) -> None:
        """Count the time since the last change for the innermost part."""
        now = self._clock()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


_listener: ContextVar[PartTimes | None] = ContextVar("listener", default=None)


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Name what is done inside as a part of the step, as one of :data:`PARTS`."""
    listener = _listener.get()
    if listener is None:
        yield
        return
    with listener.inside(part):
        yield
