"""What a study will take, printed before anything is run."""

from __future__ import annotations

from benchmark.cli.messages import console, interruptible, messages, show
from benchmark.report.tables.blocks import NOTHING, Block, Cell, ungrouped
from benchmark.report.tables.rendering import terminal
from benchmark.running.estimate import Estimate
from benchmark.running.local import Settings
from benchmark.running.planning import Plan, by_method, lanes, plan_study
from benchmark.running.progress import StudyProgress
from benchmark.running.quantities import duration, hours, size
from benchmark.study.study import RunSpec, Study

COLUMNS = ("missing", "time a run", "time of all", "memory", "told by")


def show_plan(study: Study, settings: Settings) -> None:
    """Print the runs, done and missing, and time, memory and disk of what is missing."""
    with interruptible(), StudyProgress(messages) as progress:
        plan = plan_study(study, settings, progress.building, progress.counting)
    if plan.missing:
        console.print(terminal(plan_block(study, plan)))
    for line in plan_lines(plan, settings):
        show(line)


def plan_block(study: Study, plan: Plan) -> Block:
    """A row for each method and model of which runs are missing."""
    several = len(study.models) > 1
    rows = tuple(
        (f"{label}, {model}" if several else label, _cells(plan, runs))
        for (model, label), runs in by_method(plan).items()
    )
    return Block(f"Missing of study {study.study}", ungrouped(COLUMNS), rows, ())


def plan_lines(plan: Plan, settings: Settings) -> list[str]:
    """What all missing runs take together."""
    failed = f", {plan.failed} failed (--retry-failed runs them again)" if plan.failed else ""
    count = f"{plan.done + plan.failed + len(plan.missing)} runs: {plan.done} done{failed}"
    lines = [f"{count}, {len(plan.missing)} missing"]
    known = [plan.estimates[run.run_id] for run in plan.missing if run.run_id in plan.estimates]
    without = len(plan.missing) - len(known)
    if known:
        lines += [_time(plan, settings), _work(known, settings)]
        lines += [*_memory(known, settings), _disk(known, settings)]
    if without:
        lines.append(f"without an estimate, and not in these sums: {without} runs")
    return [*lines, *plan.notes]


def _cells(plan: Plan, runs: list[RunSpec]) -> tuple[Cell, ...]:
    found = [plan.estimates[run.run_id] for run in runs if run.run_id in plan.estimates]
    if not found:
        return tuple(map(Cell, (str(len(runs)), *[NOTHING] * (len(COLUMNS) - 1))))
    seconds = [estimate.seconds for estimate in found]
    memory = [estimate.memory for estimate in found if estimate.memory is not None]
    shortest, longest = duration(min(seconds)), duration(max(seconds))
    texts = (
        str(len(runs)),
        longest if shortest == longest else f"{shortest} to {longest}",
        duration(sum(seconds)),
        size(max(memory)) if memory else NOTHING,
        "; ".join(dict.fromkeys(estimate.source for estimate in found)),
    )
    return tuple(map(Cell, texts))


def _time(plan: Plan, settings: Settings) -> str:
    side_by_side = lanes(settings.jobs, settings.threads, settings.device)
    total = duration(plan.seconds(side_by_side))
    how = f"--jobs {settings.jobs}"
    if side_by_side < settings.jobs:
        how += f", of which this machine works on {side_by_side} at a time"
    return f"time: about {total} with {how}; fine-tuning in full, which may end earlier"


def _work(known: list[Estimate], settings: Settings) -> str:
    units = 1 if settings.device == "cuda" else settings.threads
    return f"work: {hours(units * sum(estimate.seconds for estimate in known), settings.device)}"


def _memory(known: list[Estimate], settings: Settings) -> list[str]:
    together = f"at most, for {settings.jobs} at a time"
    lines = []
    for what, found in (
        ("memory", [estimate.memory for estimate in known]),
        ("device memory", [estimate.device_memory for estimate in known]),
    ):
        most = sorted((held for held in found if held is not None), reverse=True)
        if most:
            lines.append(f"{what}: {size(sum(most[: settings.jobs]))} {together}")
    return lines or ["memory: not known from records; `adaptbench time` measures it"]


def _disk(known: list[Estimate], settings: Settings) -> str:
    kept = size(sum(estimate.kept for estimate in known))
    working = sorted((estimate.working for estimate in known), reverse=True)
    return (
        f"disk: {kept} of weights to keep, {size(sum(working[: settings.jobs]))} more for "
        f"checkpoints meanwhile, in {settings.cache}"
    )
