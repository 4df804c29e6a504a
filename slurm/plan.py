"""From runs to job arrays: which first, which together, at what estimated cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from benchmark.running.estimate import Estimate
from benchmark.study.study import RunSpec
from benchmark.training.beginnings import stage_leaders
from slurm.profile import Profile, Resources
from slurm.status import RunStatus

MEMORY_GROWTH = 2.0
"""How much more memory a run gets, once, after it ran out of it."""


@dataclass(frozen=True)
class PlannedRun:
    """A run to dispatch, as its attempt ``number``; no ``estimate`` where nothing is measured."""

    spec: RunSpec
    run_id: str
    number: int
    resources: Resources
    estimate: Estimate | None


@dataclass(frozen=True)
class Array:
    """Runs of one resource class that are submitted together."""

    resources: Resources
    runs: tuple[PlannedRun, ...]


@dataclass(frozen=True)
class Plan:
    """``phases`` of arrays: those of a phase start when the phases before have ended."""

    phases: tuple[tuple[Array, ...], ...]
    notes: tuple[str, ...] = ()
    """Why some runs have no estimate."""

    def hours(self, device: Literal["cpu", "cuda"]) -> float:
        """Estimated core- or GPU-hours of the runs whose kind has been measured."""
        return sum(
            run.estimate.seconds / 3600 * run.resources.units(device)
            for run in self.runs
            if run.estimate is not None
        )

    @property
    def runs(self) -> list[PlannedRun]:
        """All runs, in order of submission."""
        return [run for phase in self.phases for array in phase for run in array.runs]

    @property
    def arrays(self) -> list[Array]:
        """All arrays, in order of submission."""
        return [array for phase in self.phases for array in phase]


def plan_runs(
    statuses: Iterable[RunStatus],
    profile: Profile,
    estimate: Callable[[RunSpec], Estimate | None],
) -> Plan:
    """Dispatch these runs, whatever their status: first those that others build upon."""
    planned = [_planned(status, profile, estimate) for status in statuses]
    leaders = stage_leaders([run.spec for run in planned])
    first = [run for place, run in enumerate(planned) if place in leaders]
    rest = [run for place, run in enumerate(planned) if place not in leaders]
    phases = (_arrays(first, profile), _arrays(rest, profile))
    return Plan(tuple(phase for phase in phases if phase))


def _planned(
    status: RunStatus, profile: Profile, estimate: Callable[[RunSpec], Estimate | None]
) -> PlannedRun:
    resources = profile.resources_of(status.spec)
    if status.attempt is not None and status.out_of_memory:
        grown = resources.memory_gb * MEMORY_GROWTH
        resources = resources.model_copy(update={"memory_gb": grown})
    number = status.attempt.claim.number + 1 if status.attempt else 1
    return PlannedRun(status.spec, status.run_id, number, resources, estimate(status.spec))


def _arrays(runs: list[PlannedRun], profile: Profile) -> tuple[Array, ...]:
    """One array for each resource class, cut below the site's largest size."""
    classes: dict[Resources, list[PlannedRun]] = defaultdict(list)
    for run in runs:
        classes[run.resources].append(run)
    size = profile.max_array_size - 1
    return tuple(
        Array(resources, tuple(members[start : start + size]))
        for resources, members in classes.items()
        for start in range(0, len(members), size)
    )
