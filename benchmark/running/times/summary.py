"""What the turns of a method say of its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.methods.registry import method_of
from benchmark.running.times.phases import StepsByPhase, course, mean_step, steps_by_phase
from benchmark.running.times.rounds import Timed, in_order, spread
from benchmark.study.step_times import (
    PREPARATION,
    MethodTimes,
    Overheads,
    PhaseTimes,
    step_key,
)
from benchmark.study.study import RunSpec


def phases_of(run: RunSpec) -> StepsByPhase:
    """The steps of each phase of a run."""
    settings = method_of(run.method).Hyperparameters.model_validate(run.method.hyperparameters)
    return steps_by_phase(settings, run.training.steps)


def method_times(
    run: RunSpec,
    timed: Timed,
    once: Mapping[str, float],
    plain: Sequence[float],
    overheads: Overheads,
    memory: Mapping[str, Any],
) -> MethodTimes:
    """``plain``: seconds of a plain step of the model in each round; ``memory``: peaks in bytes."""
    phases, steps = timed.of_phases(), timed.steps
    return MethodTimes(
        model=run.model_name,
        method=run.method.label,
        run_id=run.run_id,
        key=step_key(run),
        seconds=spread(steps),
        ratio=spread([own / other for own, other in zip(steps, plain, strict=True)]),
        parts=_parts(timed.phases, phases, spread(steps).median),
        flops=mean_step(timed.phases, {name: phase.flops for name, phase in phases.items()}),
        tokens=run.training.batch * run.data.width,
        once=dict(once),
        phases=phases,
        course=_course(run, timed.phases, phases, once),
        overheads=overheads,
        **memory,
    )


def _parts(
    steps: StepsByPhase, phases: Mapping[str, PhaseTimes], seconds: float
) -> dict[str, float]:
    """The parts of a mean step; medians do not add up, so that they are scaled to ``seconds``."""
    names = in_order({part: 0.0 for phase in phases.values() for part in phase.parts})
    means = {
        part: mean_step(steps, {n: phase.parts.get(part, 0.0) for n, phase in phases.items()})
        for part in names
    }
    return {part: seconds * mean / sum(means.values()) for part, mean in means.items()}


def _course(
    run: RunSpec,
    steps: StepsByPhase,
    phases: Mapping[str, PhaseTimes],
    once: Mapping[str, float],
) -> tuple[tuple[int, float], ...]:
    every, last = run.training.evaluate_every, run.training.steps
    medians = {name: phase.seconds.median for name, phase in phases.items()}
    return course(steps, {**once, **medians}, once[PREPARATION], [*range(every, last, every), last])
