"""Live progress of a study: a bar for each run with step, loss and time left, and one for all."""

from __future__ import annotations

import time
from threading import Lock
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from benchmark.running.quantities import duration
from benchmark.running.time_left import TimeLeft
from benchmark.study.study import RunSpec

STAGE_NAMES = {"trained": "training", "fine_tuned": "fine-tuning"}
ALL = "all runs"


class _TimeLeft(TimeRemainingColumn):
    """What a bar says of it, else what its own speed does."""

    def render(self, task: Task) -> Text:
        left = task.fields.get("left")
        return super().render(task) if left is None else Text(left, style="progress.remaining")


class StudyProgress:
    """Bars on a terminal; a line for each finished run anywhere.

    ``time_left`` of all runs is shown where it is given.
    """

    def __init__(self, console: Console, time_left: TimeLeft | None = None) -> None:
        self.console = console
        self._time_left = time_left
        self._lock = Lock()
        self._bars: dict[str, TaskID] = {}
        self._begun: dict[str, tuple[float, int]] = {}
        # On a narrow terminal the name gives way, never the figures.
        name = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            TextColumn("{task.description}", table_column=name, markup=False),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[state]}", table_column=Column(no_wrap=True), markup=False),
            _TimeLeft(table_column=Column(no_wrap=True)),
            console=console,
            expand=True,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> StudyProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def hear(self, spec: RunSpec, event: dict[str, Any]) -> None:
        """Show one event of a run; runs side by side tell theirs from threads of their own."""
        with self._lock:
            self._hear(spec, event)

    def _hear(self, spec: RunSpec, event: dict[str, Any]) -> None:
        if self._time_left is not None:
            self._time_left.hear(spec, event)
        if event["event"] == "step":
            state = f"step {event['step']}/{event['of']}  loss {event['loss']:.3f}"
            name = f"{STAGE_NAMES[event['stage']]} {_name(spec)}"
            self._show(spec.run_id + event["stage"], name, event["step"], event["of"], state)
        elif event["event"] not in {"waits", "begins"}:
            self._drop(spec.run_id)
            status, so_far = event.get("status", event["event"]), self._so_far()
            line = f"{status:>8}  {_name(spec)}{so_far and f'  ({so_far})'}"
            self.console.print(line, markup=False, highlight=False)
        self._show_all()

    def building(self, what: str, rows: int, of: int | None = None) -> None:
        """Show how many token rows are built, of about so many, and how many a second."""
        begin, before = self._begun.setdefault(what, (time.monotonic(), rows))
        seconds = time.monotonic() - begin
        speed = (rows - before) / seconds if seconds >= 1 else 0.0
        state = f"{rows:,} rows" + (f"  {speed:,.0f} rows/s" if speed else "")
        left = duration(max(0, of - rows) / speed) if of is not None and speed else None
        self._show(f"rows {what}", f"rows of {what}", rows, of, state, left=left)

    def counting(self, what: str, done: int, of: int) -> None:
        """Show how far something is that is counted."""
        self._show(f"count {what}", what, done, of, f"{done}/{of}")

    def _so_far(self) -> str:
        """How many runs have ended, and how long the others will take."""
        if self._time_left is None or self._time_left.planned < 2:
            return ""
        left = self._time_left.seconds()
        count = f"{self._time_left.ended} of {self._time_left.planned}"
        return count if not left else f"{count}; about {duration(left)} left"

    def _show_all(self) -> None:
        so_far = self._so_far()
        if self._time_left is not None and so_far:
            count, _, left = so_far.partition("; ")
            ended, planned = self._time_left.ended, self._time_left.planned
            self._show(ALL, ALL, ended, planned, count, left=left)

    def _show(
        self,
        key: str,
        name: str,
        completed: int,
        of: int | None,
        state: str,
        left: str | None = None,
    ) -> None:
        if key not in self._bars:
            # A run has one bar at a time, and rows are built before anything else starts.
            self._drop("rows ")
            self._drop("count ")
            self._drop(key.removesuffix("fine_tuned"))
            self._bars[key] = self._progress.add_task(name, total=of, state=state, left=left)
        self._progress.update(
            self._bars[key], completed=completed, total=of, state=state, left=left
        )

    def _drop(self, prefix: str) -> None:
        for key in [key for key in self._bars if key.startswith(prefix)]:
            self._progress.remove_task(self._bars.pop(key))


def _name(spec: RunSpec) -> str:
    return f"{spec.model_name} {spec.target_name} {spec.method.label} seed {spec.seed}"
