"""Live progress of a study: a bar for each run with step, loss and time left."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from benchmark.study.study import RunSpec

STAGE_NAMES = {"trained": "training", "fine_tuned": "fine-tuning"}


class StudyProgress:
    """Bars on a terminal; a line for each finished run anywhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars: dict[str, TaskID] = {}
        # On a narrow terminal the name gives way, never the figures.
        name = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            TextColumn("{task.description}", table_column=name, markup=False),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[state]}", table_column=Column(no_wrap=True), markup=False),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
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
        """Show one event of a worker."""
        if event["event"] == "step":
            state = f"step {event['step']}/{event['of']}  loss {event['loss']:.3f}"
            name = f"{STAGE_NAMES[event['stage']]} {_name(spec)}"
            self._show(spec.run_id + event["stage"], name, event["step"], event["of"], state)
        else:
            self._drop(spec.run_id)
            status = event.get("status", event["event"])
            self.console.print(f"{status:>8}  {_name(spec)}", markup=False, highlight=False)

    def building(self, what: str, rows: int) -> None:
        """Show how far token rows are built; 0 rows are none yet."""
        self._show(f"rows {what}", f"rows of {what}", rows, None, f"{rows} rows")

    def _show(self, key: str, name: str, completed: int, of: int | None, state: str) -> None:
        if key not in self._bars:
            # A run has one bar at a time, and rows are built before any run starts.
            self._drop("rows ")
            self._drop(key.removesuffix("fine_tuned"))
            self._bars[key] = self._progress.add_task(name, total=of, state=state)
        self._progress.update(self._bars[key], completed=completed, state=state)

    def _drop(self, prefix: str) -> None:
        for key in [key for key in self._bars if key.startswith(prefix)]:
            self._progress.remove_task(self._bars.pop(key))


def _name(spec: RunSpec) -> str:
    return f"{spec.model_name} {spec.target_name} {spec.method.label} seed {spec.seed}"
