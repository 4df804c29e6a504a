"""Live progress of a study: a bar for each run with step, loss and time left."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from benchmark.study import RunSpec

STAGE_NAMES = {"trained": "training", "fine_tuned": "fine-tuning"}


class StudyProgress:
    """Bars on a terminal; a line for each finished run anywhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=console,
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
            self._move(spec, event)
        else:
            self._finish(spec, event)

    def _move(self, spec: RunSpec, event: dict[str, Any]) -> None:
        name = _name(spec)
        label = f"{name} {STAGE_NAMES[event['stage']]}"
        bar = self._bars.get(label)
        if bar is None:
            self._drop(name)
            bar = self._progress.add_task(label, total=event["of"], state="")
            self._bars[label] = bar
        state = f"step {event['step']}/{event['of']}  loss {event['loss']:.3f}"
        self._progress.update(bar, completed=event["step"], state=state)

    def building(self, what: str, rows: int) -> None:
        """Show how far token rows are built."""
        for label in [label for label in self._bars if label != what]:
            self._progress.remove_task(self._bars.pop(label))
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(f"rows of {what}", total=None, state="")
        self._progress.update(self._bars[what], state=f"{rows} rows")

    def _finish(self, spec: RunSpec, event: dict[str, Any]) -> None:
        name = _name(spec)
        self._drop(name)
        status = event.get("status", event["event"])
        self.console.print(f"{status:>8}  {name}", markup=False, highlight=False)

    def _drop(self, name: str) -> None:
        for label in [label for label in self._bars if label.startswith(f"{name} ")]:
            self._progress.remove_task(self._bars.pop(label))


def _name(spec: RunSpec) -> str:
    return f"{spec.model_name} {spec.target_name} {spec.method.label} seed {spec.seed}"
