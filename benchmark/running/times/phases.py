"""Which steps of a run are of which phase, and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

StepsByPhase = dict[str, list[int]]


def steps_by_phase(hyperparameters: Any, steps: int) -> StepsByPhase:
    """The steps of each phase of a run of ``steps``, phases in the order in which they begin."""
    found: StepsByPhase = {}
    for step in range(steps):
        found.setdefault(hyperparameters.phase(step, steps), []).append(step)
    return found


def single(phases: StepsByPhase) -> set[str]:
    """Phases of one step of the run, where others have more."""
    several = any(len(steps) > 1 for steps in phases.values())
    return {name for name, steps in phases.items() if several and len(steps) == 1}


def recurring(phases: StepsByPhase) -> StepsByPhase:
    """The others."""
    return {name: steps for name, steps in phases.items() if name not in single(phases)}


def mean_step(phases: StepsByPhase, of_phase: Mapping[str, float]) -> float:
    """A figure of a step of each recurring phase, averaged over the run's steps of these."""
    counts = {name: len(steps) for name, steps in recurring(phases).items()}
    return sum(counts[name] * of_phase[name] for name in counts) / sum(counts.values())


def course(
    phases: StepsByPhase, seconds: Mapping[str, float], begin: float, at: Sequence[int]
) -> tuple[tuple[int, float], ...]:
    """(step, seconds until its end) at the start and after each of the steps ``at``.

    ``seconds`` are those of a step of each phase, single ones included; ``begin`` those before.
    """
    of_step = {step: seconds[name] for name, steps in phases.items() for step in steps}
    points, total, ends = [(0, begin)], begin, set(at)
    for step in range(len(of_step)):
        total += of_step[step]
        if step + 1 in ends:
            points.append((step + 1, total))
    return tuple(points)
