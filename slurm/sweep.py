"""A study on a cluster: where its runs stand, and sending them there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.data import PreparedData, Progress, prepare
from benchmark.running.estimate import Estimates
from benchmark.running.local import require_same_data
from benchmark.running.planning import estimate_all, known_estimates
from benchmark.running.times.measure import Bench, Heard
from benchmark.running.tracking import Tracker
from benchmark.study.collapse import Selection, last_selection
from benchmark.study.contents import require_same_contents
from benchmark.study.records import write_index
from benchmark.study.study import Study
from slurm.attempts import Attempts
from slurm.launcher import dispatch
from slurm.plan import Plan, plan_runs
from slurm.profile import Profile
from slurm.queue import ask
from slurm.status import RunStatus, judge_runs
from slurm.submissions import Submission, load_submissions


class Sweep:
    """A study, its hyper-parameters resolved, and its results folder."""

    def __init__(self, study: Study, results: Path) -> None:
        self.study, self.results = study, results

    @property
    def submissions(self) -> dict[str, Submission]:
        """Every submission of the study by name, oldest first."""
        return load_submissions(self.results)

    def statuses(self) -> list[RunStatus]:
        """The status of each run, in the study's order."""
        submissions = self.submissions
        return judge_runs(
            self.study.runs(), self.results, submissions, ask(list(submissions.values()))
        )

    def selections(self, statuses: Iterable[RunStatus]) -> dict[str, Selection]:
        """How sharply each of these runs chose at its last evaluation, where it weighs rows."""
        batch = self.study.training.batch
        begun = (status.run_id for status in statuses if status.record or status.attempt)
        found = {name: last_selection(self.results, name, batch) for name in begun}
        return {name: selection for name, selection in found.items() if selection is not None}

    def plan(
        self, statuses: Iterable[RunStatus], wanted: Sequence[RunStatus], profile: Profile
    ) -> Plan:
        """What dispatching the ``wanted`` of the study's runs would submit."""
        return plan_runs(wanted, profile, self._known(statuses, profile).of)

    def timed_plan(
        self,
        statuses: Iterable[RunStatus],
        wanted: Sequence[RunStatus],
        profile: Profile,
        cache: Path,
        building: Progress,
        hear: Heard,
    ) -> Plan:
        """The same; of methods that no file tells of, a few steps are timed on this machine.

        ``building(what, rows)`` hears of token rows, ``hear(what, done, of)`` of steps.

        Raises:
            UserError: the data cannot be prepared.
        """
        known = self._known(statuses, profile)
        if profile.device == "cuda" and not has_cuda():
            plan = plan_runs(wanted, profile, known.of)
            return replace(plan, notes=("no CUDA device here to time a few steps on",))
        cpus = max(profile.resources_of(status.spec).cpus for status in wanted)
        bench = Bench(cache, profile.device, min(cpus, os.cpu_count() or 1))
        runs = [status.spec for status in wanted]
        found, notes = estimate_all(runs, known, bench, building, hear)
        plan = plan_runs(wanted, profile, lambda run: found.get(run.run_id))
        return replace(plan, notes=tuple(notes))

    def _known(self, statuses: Iterable[RunStatus], profile: Profile) -> Estimates:
        ended = [(s.spec, s.record) for s in statuses if s.record is not None]
        return known_estimates(self.results, profile.device, ended)

    def dispatch(
        self,
        plan: Plan,
        statuses: Iterable[RunStatus],
        profile: Profile,
        cache: Path,
        building: Progress | None = None,
        track: Tracker | None = None,
    ) -> Submission:
        """Prepare the data of the planned runs and submit them; ``building(what, rows)`` hears.

        ``statuses`` are those of the study's runs.

        Raises:
            UserError: the data cannot be prepared, or is not what earlier results were made with;
                the scheduler refuses.
        """
        require_same_contents(self.study, self.results)
        data = {
            run.target_name: prepare(run.data, run.target, cache, building)
            for run in {planned.spec.target_name: planned.spec for planned in plan.runs}.values()
        }
        again = {planned.run_id for planned in plan.runs}
        ended = [status for status in statuses if status.record is not None]
        for status in ended:
            self._require_same_data(status, data)
        write_index(self.results, self.study)
        for status in ended:
            if status.run_id in again:
                self._set_aside(status)
        folders = {name: found.folder for name, found in data.items()}
        return dispatch(plan, profile, self.results, cache, folders, track)

    def _require_same_data(self, status: RunStatus, data: dict[str, PreparedData]) -> None:
        target = status.spec.target_name
        if status.record is not None and target in data:
            made_with = status.record.data.fingerprint
            require_same_data(status.spec, made_with, data[target], self.results)

    def _set_aside(self, status: RunStatus) -> None:
        """Move a failed run's record to its attempts, so that the run counts as not ended."""
        number = status.attempt.claim.number if status.attempt else 0
        attempts = Attempts(self.results, status.run_id)
        attempts.folder.mkdir(exist_ok=True)
        record = attempts.folder.parent / "record.json"
        record.replace(attempts.folder / f"{number}.record.json")


def has_cuda() -> bool:
    """Whether this machine has a CUDA device."""
    import torch

    return torch.cuda.is_available()
