"""From a plan to jobs: claims first, then submitit, whatever the executor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from benchmark.core.errors import UserError
from benchmark.running.tracking import Tracker
from benchmark.running.worker import Job
from slurm.attempts import Attempts, AttemptState, Claim
from slurm.job import Order, RunJob
from slurm.plan import Array, Plan, PlannedRun
from slurm.profile import Profile, Resources
from slurm.snapshot import take_snapshot
from slurm.submissions import Submission, new_submission, write_submission

SECONDS_TO_LEAVE = 3.0
CLOSING = Resources(memory_gb=2.0, minutes=60)


def dispatch(
    plan: Plan,
    profile: Profile,
    results: Path,
    cache: Path,
    prepared: dict[str, Path],
    track: Tracker | None = None,
) -> Submission:
    """Submit the plan's runs, but those that somebody else claims first.

    ``prepared`` are the folders of the targets' data, by name. The jobs run a copy of the code.

    Raises:
        UserError: the scheduler refuses; what was claimed and not submitted is free again.
    """
    submission = new_submission(profile, cache, results.name, track)
    environment = take_snapshot(submission.folder, [run.spec for run in plan.runs])
    write_submission(results, submission)
    phases = [_claim(phase, results, submission.name) for phase in plan.phases]
    submitter = _Submitter(submission, results, prepared, environment)
    try:
        for phase in phases:
            submitter.submit_phase(phase)
        submitter.submit_closing()
    except (FailedSubmissionError, FailedJobError, subprocess.CalledProcessError, OSError) as error:
        submitter.release(phases)
        raise UserError(f"{profile.executor}: the submission failed: {_said(error)}") from error
    finally:
        write_submission(results, submitter.submission)
    submitter.work_here()
    return submitter.submission


def _claim(phase: tuple[Array, ...], results: Path, submission: str) -> list[Array]:
    """The arrays of the phase with the runs that we could claim."""
    claimed = []
    for array in phase:
        memory = array.resources.memory_gb
        won = tuple(
            run
            for run in array.runs
            if Attempts(results, run.run_id).claim(
                Claim(number=run.number, submission=submission, memory_gb=memory)
            )
        )
        if won:
            claimed.append(Array(array.resources, won))
    return claimed


def _said(error: Exception) -> str:
    printed = getattr(error, "stderr", None) or getattr(error, "output", None) or error
    text = printed.decode(errors="replace") if isinstance(printed, bytes) else str(printed)
    return " ".join(text.split())


class _Submitter:
    """Submits arrays and remembers their jobs."""

    def __init__(
        self,
        submission: Submission,
        results: Path,
        prepared: dict[str, Path],
        environment: dict[str, str],
    ) -> None:
        self.submission = submission
        self._results, self._prepared, self._environment = results, prepared, environment
        self._ended_phases: list[str] = []
        self._arrays: list[str] = []
        self._here: list[submitit.Job[None]] = []

    def submit_phase(self, arrays: list[Array]) -> None:
        """Submit arrays that wait for the phases before."""
        begun = len(self._arrays)
        for array in arrays:
            self._submit_array(array)
        self._ended_phases += self._arrays[begun:]

    def _submit_array(self, array: Array) -> None:
        profile = self.submission.profile
        # Cut arrays would each have a throttle of their own.
        before = self._arrays[-1:] if profile.array_parallelism and self._arrays else []
        executor = self._executor(array.resources, {*self._ended_phases, *before})
        lanes = [
            RunJob([self._order(run).as_json() for run in lane]) for lane in self._lanes(array)
        ]
        with self._where_it_runs(), self._apart(), executor.batch():
            jobs = [executor.submit(lane) for lane in lanes]
        found = {
            run.run_id: job.job_id
            for lane, job in zip(self._lanes(array), jobs, strict=True)
            for run in lane
        }
        self._note({"jobs": self.submission.jobs | found})
        if profile.executor == "slurm":
            self._arrays.append(jobs[0].job_id.split("_")[0])
        elif profile.executor == "debug":
            self._here += jobs

    def submit_closing(self) -> None:
        """The last job; on an executor without dependencies, there is none."""
        if self.submission.profile.executor == "slurm" and self._arrays:
            executor = self._executor(CLOSING, set(self._arrays))
            with self._where_it_runs():
                job = executor.submit(self._closing())
            self._note({"closing": job.job_id})
        self._note({"submitted": True})

    def _closing(self) -> submitit.helpers.CommandFunction:
        command = [sys.executable, "-P", "-m", "slurm.closing"]
        arguments = [str(self._results.absolute()), self.submission.name]
        return submitit.helpers.CommandFunction([*command, *arguments])

    def work_here(self) -> None:
        """Executor debug runs its jobs when their results are asked for."""
        with self._where_it_runs():
            for job in self._here:
                job.result()

    def release(self, phases: list[list[Array]]) -> None:
        """Give up the claims of runs that got no job."""
        for array in chain.from_iterable(phases):
            for run in array.runs:
                if run.run_id not in self.submission.jobs:
                    said = AttemptState(phase="cancelled", reason="its submission failed")
                    Attempts(self._results, run.run_id).say(run.number, said)
        self._note({"submitted": True})

    def _note(self, changes: dict[str, Any]) -> None:
        self.submission = self.submission.model_copy(update=changes)

    def _lanes(self, array: Array) -> list[list[PlannedRun]]:
        """A job for each run; where nothing queues, as many jobs as shall work side by side."""
        profile, runs = self.submission.profile, list(array.runs)
        if profile.executor == "slurm":
            return [[run] for run in runs]
        if profile.executor == "debug":
            return [runs]
        of_one = array.resources.cpus * array.resources.processes
        lanes = profile.array_parallelism or max(1, (os.cpu_count() or 1) // of_one)
        return [runs[start::lanes] for start in range(min(lanes, len(runs)))]

    def _order(self, run: PlannedRun) -> Order:
        profile = self.submission.profile
        job = Job(
            spec=run.spec,
            prepared=self._prepared[run.spec.target_name],
            results=self._results.absolute(),
            cache=self.submission.cache,
            device=profile.device,
            threads=run.resources.cpus,
            track=self.submission.track,
        )
        return Order(
            job=job,
            number=run.number,
            processes=run.resources.processes * run.resources.nodes,
            in_this_process=profile.executor == "debug",
            heartbeat_seconds=profile.heartbeat_seconds,
            seconds_to_save=profile.signal_delay_seconds - SECONDS_TO_LEAVE,
            max_restarts=profile.max_restarts,
            log=self.submission.folder / "logs" / f"{run.run_id}.log",
        )

    @contextmanager
    def _where_it_runs(self) -> Iterator[None]:
        """The environment that local jobs inherit, and that sbatch passes on."""
        hidden = {"SLURM_CONF": os.environ["SLURM_CONF"]} if "SLURM_CONF" in os.environ else {}
        with (
            submitit.helpers.clean_env(),
            submitit.helpers.environment_variables(**self._environment, **hidden),
        ):
            yield

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Local jobs outlive this command, must not hold its output open, and must hear INT."""
        if self.submission.profile.executor != "local":
            yield
            return
        kept = os.dup(1), os.dup(2)
        with (self.submission.folder / "local.log").open("ab") as stream:
            sys.stdout.flush()
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        # A script's background commands ignore INT, and so would jobs, which are ended by it.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
            for number, descriptor in enumerate(kept, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)

    def _executor(self, resources: Resources, after: set[str]) -> submitit.Executor:
        """submitit's executor for runs of one resource class, after the jobs ``after``."""
        profile = self.submission.profile
        folder = self.submission.folder / "jobs"
        if profile.executor == "debug":
            return submitit.DebugExecutor(folder)
        shared: dict[str, Any] = {
            "timeout_min": resources.minutes,
            "nodes": resources.nodes,
            "tasks_per_node": resources.processes,
        }
        if resources.gpus:
            shared["gpus_per_node"] = resources.gpus * resources.processes
        python = f"{sys.executable} -P"
        if profile.executor == "local":
            # Each job that ends early leaves its lane's other runs to `retry`.
            executor: submitit.Executor = submitit.LocalExecutor(
                folder, max_num_timeout=profile.max_timeouts, python=python
            )
            executor.update_parameters(**shared, signal_delay_s=profile.signal_delay_seconds)
            return executor
        executor = submitit.AutoExecutor(
            folder,
            cluster="slurm",
            slurm_max_num_timeout=profile.max_timeouts,
            slurm_python=python,
        )
        exports = [f"export {name}={value!r}" for name, value in self._environment.items()]
        executor.update_parameters(
            **shared,
            name=f"adaptbench-{self._results.name}",
            mem_gb=resources.memory_gb,
            cpus_per_task=resources.cpus,
            slurm_partition=profile.partition,
            slurm_account=profile.account,
            slurm_qos=profile.qos,
            slurm_array_parallelism=profile.array_parallelism or profile.max_array_size,
            slurm_signal_delay_s=profile.signal_delay_seconds,
            slurm_setup=[*profile.setup, *exports],
            slurm_dependency=f"afterany:{':'.join(sorted(after))}" if after else None,
            slurm_additional_parameters=profile.sbatch or None,
        )
        return executor
