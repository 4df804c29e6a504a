"""Plans and states of sweeps for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from benchmark.running.quantities import duration, hours, size
from benchmark.study.collapse import MARK, Selection
from slurm.status import RunStatus, count

if TYPE_CHECKING:
    from slurm.plan import Array, Plan
    from slurm.profile import Profile

LISTED = 40
GIGABYTE = 1e9
HOW_TO_KNOW = "`adaptbench time` measures their steps, and --dry-run times a few"
HEADINGS = ("run", "state", "step", "loss", "left", "heartbeat", "effective rows", "why")
COLLAPSED = (
    f"{MARK} {{count}} collapsed: at the last evaluation of training, the weights of the selection "
    "sit on fewer rows, exp(entropy), than a batch holds"
)
LEAST_WIDTHS = {"state": 7, "why": 12}
NAMES_END, LEAST_NAME = 12, 24
STYLES = {"done": "green", "running": "cyan", "failed": "red", "lost": "red", "queued": "yellow"}


def plan_lines(plan: Plan, profile: Profile) -> list[str]:
    """What a plan would submit, for its reader."""
    lines = [f"{len(plan.runs)} runs in {len(plan.arrays)} arrays on executor {profile.executor}"]
    for number, phase in enumerate(plan.phases):
        after = " (after those above)" if number else ""
        lines += [f"  {_array(array)}{after}" for array in phase]
    unit = "GPU-hours" if profile.device == "cuda" else "core-hours"
    found = [run.estimate for run in plan.runs if run.estimate is not None]
    unknown = len(plan.runs) - len(found)
    if not found:
        lines.append(f"no estimate of {unit}: no run of these kinds has ended here; {HOW_TO_KNOW}")
    else:
        sources = ", ".join(dict.fromkeys(estimate.source for estimate in found))
        used = hours(3600 * plan.hours(profile.device), profile.device)
        estimate = f"estimated: {used} for {len(found)} runs"
        more = f"; {unknown} are of a kind never measured here" if unknown else ""
        lines.append(f"{estimate}, by {sources}{more}")
        lines += _memory(plan)
        lines.append(f"disk: {size(sum(estimate.kept for estimate in found))} of weights to keep")
    return [*lines, *plan.notes]


def _memory(plan: Plan) -> list[str]:
    """The most that a run will hold, and how many will hold more than they ask for."""
    known = [(run, run.estimate) for run in plan.runs if run.estimate is not None]
    held = {run.run_id: told.memory for run, told in known if told.memory is not None}
    there = [told.device_memory for _, told in known if told.device_memory is not None]
    lines = []
    if held:
        asked = {run.run_id: run.resources.memory_gb * GIGABYTE for run, _ in known}
        lines.append(f"memory: {size(max(held.values()))} at most a run")
        if more := sum(most > asked[name] for name, most in held.items()):
            lines[-1] += f", and {more} hold more than they ask for: raise resources.memory_gb"
    if there:
        lines.append(f"device memory: {size(max(there))} at most a run")
    return lines


def _array(array: Array) -> str:
    asked = array.resources
    figures = [
        f"{len(array.runs)} runs",
        f"{asked.cpus} cpus",
        f"{asked.gpus} gpus",
        f"{asked.memory_gb:g} GB",
        f"{asked.minutes} min",
    ]
    processes = asked.processes * asked.nodes
    if processes > 1:
        figures.append(f"{processes} processes on {asked.nodes} nodes")
    return ", ".join(figures)


def status_table(
    statuses: Iterable[RunStatus], selections: Mapping[str, Selection], everything: bool
) -> Group:
    """Counts by state, and the runs that somebody may want to look at.

    ``selections``: how sharply runs choose, by their ids, where they weigh rows.
    """
    statuses = list(statuses)
    counts = count(statuses)
    summary = "  ".join(f"{number} {state}" for state, number in counts.items())
    collapsed = {name for name, selection in selections.items() if selection.collapsed}
    shown = [
        s
        for s in statuses
        if everything or s.state not in {"done", "missing", "queued"} or s.run_id in collapsed
    ]
    table = Table(box=None, pad_edge=False)
    shown_states = [
        _row(status, selections.get(status.run_id))
        for status in (shown if everything else shown[:LISTED])
    ]
    # A column that says nothing leaves its room to the names of the runs.
    said = [any(str(row[place]) for row in shown_states) for place in range(len(HEADINGS))]
    for heading, speaks in zip(HEADINGS, said, strict=True):
        if speaks:
            table.add_column(
                heading,
                no_wrap=heading not in {"run", "why"},
                overflow="fold",
                min_width=LEAST_WIDTHS.get(heading),
            )
    for row in shown_states:
        table.add_row(*(cell for cell, speaks in zip(row, said, strict=True) if speaks))
    parts: list[Table | Text] = [Text(f"{len(statuses)} runs: {summary}")]
    if shown:
        parts.append(table)
    if len(shown) > LISTED and not everything:
        parts.append(Text(f"... and {len(shown) - LISTED} more (--all lists every run)"))
    if collapsed:
        parts.append(Text(COLLAPSED.format(count=len(collapsed)), style="dim"))
    return Group(*parts)


class _Name:
    """A run's name on one line; where there is no room for it, it loses its middle."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room, name = options.max_width, self.name
        if len(name) > room:
            # The end tells runs apart: seed and key.
            end = min(NAMES_END, room // 2)
            name = f"{name[: room - end - 3]}...{name[-end:]}"
        yield Text(name, no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(len(self.name), LEAST_NAME), len(self.name))


def _row(status: RunStatus, selection: Selection | None) -> list[_Name | Text | str]:
    state = Text(status.state, style=STYLES.get(status.state, ""))
    rows = "" if selection is None else str(selection)
    progress = status.progress
    if progress is None or status.state in {"done", "missing"}:
        return [_Name(status.run_id), state, "", "", "", "", rows, Text(status.reason)]
    step = f"{progress.stage} {progress.step}/{progress.of}" if progress.of else ""
    loss = "" if progress.loss is None else f"{progress.loss:.3f}"
    left = "" if status.seconds_left is None else duration(status.seconds_left)
    why = status.reason
    if progress.restarts and not why:
        why = f"restarted {progress.restarts} times"
    ago = f"{duration(status.age)} ago"
    return [_Name(status.run_id), state, step, loss, left, ago, rows, Text(why)]
