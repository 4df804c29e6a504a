"""A study on this machine: what is missing is run, one process a run, with live progress."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.data import PreparedData, Progress, prepare
from benchmark.data.sources import listing_notes
from benchmark.data.task_rows import rows_of
from benchmark.running.tracking import Tracker
from benchmark.running.worker import Job
from benchmark.running.worker_process import WorkerProcess
from benchmark.study.contents import require_same_contents
from benchmark.study.records import read_record, require_same_rows, write_index
from benchmark.study.study import RunSpec, Study

Listener = Callable[[RunSpec, dict[str, Any]], None]


@dataclass(frozen=True)
class Settings:
    """How to run, as opposed to what."""

    results: Path
    cache: Path
    jobs: int = 1
    threads: int = 1
    device: str = "cpu"
    retry_failed: bool = False
    track: Tracker | None = None
    labels: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What became of each run, by run id; ``failed`` and ``died`` map to reasons."""

    found: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    died: dict[str, str] = field(default_factory=dict)
    stopped: bool = False


def run_study(
    study: Study,
    settings: Settings,
    listen: Listener,
    building: Progress,
    note: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run what the study still lacks; ``study`` has its hyper-parameters resolved.

    ``listen(spec, event)`` hears of each run's progress, ``building(what, rows)`` of token rows,
    ``note(line)`` of files in folders of the user's that are not read, before any run starts.

    Raises:
        UserError: the data cannot be prepared; or it, a checkpoint or the tokeniser is not what
            earlier results were made with.
    """
    require_same_contents(study, settings.results)
    wanted = [run for run in study.runs() if is_selected(run, settings)]
    outcome = Outcome()
    prepared = {run.target_name: run for run in wanted}
    require_same_rows(settings.results, study)  # before hours go into other rows
    folders = {
        name: prepare(run.data, run.target, settings.cache, building, settings.jobs)
        for name, run in prepared.items()
    }
    sources = [
        source for run in prepared.values() for source in (run.data.generic, run.target.source)
    ]
    readers = rows_of(study.data.task).readers
    notes = (line for source in sources for line in listing_notes(source, readers))
    for line in dict.fromkeys(notes):
        note(line)
    missing = [
        run for run in wanted if _is_missing(run, folders[run.target_name], settings, outcome)
    ]
    write_index(settings.results, study)
    for run in missing:
        listen(run, {"event": "waits"})
    if missing:
        _run_all(
            [_job(run, folders[run.target_name], settings) for run in missing],
            settings,
            listen,
            outcome,
        )
    return outcome


def is_selected(run: RunSpec, settings: Settings) -> bool:
    """Whether a run is asked for; no names ask for all."""
    return (not settings.labels or run.method.label in settings.labels) and (
        not settings.targets or run.target_name in settings.targets
    )


def _is_missing(run: RunSpec, data: PreparedData, settings: Settings, outcome: Outcome) -> bool:
    record = read_record(settings.results, run.run_id)
    if record is None:
        return True
    require_same_data(run, record.data["fingerprint"], data, settings.results)
    if record.status == "failed" and settings.retry_failed:
        return True
    if record.status == "failed":
        outcome.failed[run.run_id] = record.reason
    else:
        outcome.found.append(run.run_id)
    return False


def require_same_data(run: RunSpec, fingerprint: str, data: PreparedData, results: Path) -> None:
    """Refuse to mix results that were made with other rows, whose ``fingerprint`` differs."""
    if fingerprint != data.fingerprint:
        raise UserError(
            f"{results}: run {run.run_id} was made with other data (the files of target "
            f"{run.target_name!r} or of the generic corpus have changed since): rename the "
            "study or give another --results folder"
        )


def _job(run: RunSpec, data: PreparedData, settings: Settings) -> Job:
    return Job(
        spec=run,
        prepared=data.folder,
        results=settings.results.absolute(),
        cache=settings.cache,
        device=settings.device,
        threads=settings.threads,
        track=settings.track,
    )


def _run_all(jobs: list[Job], settings: Settings, listen: Listener, outcome: Outcome) -> None:
    pool = _Workers(settings, listen)
    with ThreadPoolExecutor(settings.jobs) as executor:
        futures = {executor.submit(pool.run, job): job.spec.run_id for job in jobs}
        try:
            for future in as_completed(futures):
                _note(outcome, futures[future], future.result())
        except KeyboardInterrupt:
            outcome.stopped = True
            pool.stop()


def _note(outcome: Outcome, run_id: str, end: dict[str, Any]) -> None:
    if end["event"] == "end" and end["status"] == "done":
        outcome.done.append(run_id)
    elif end["event"] == "end":
        outcome.failed[run_id] = end["reason"]
    elif end["event"] in {"refused", "died", "out_of_memory"}:
        outcome.died[run_id] = end["reason"]


class _Workers:
    """The worker processes that are alive."""

    def __init__(self, settings: Settings, listen: Listener) -> None:
        self.settings, self.listen = settings, listen
        self._alive: set[WorkerProcess] = set()
        self._lock = threading.Lock()
        self._stopping = False

    def run(self, job: Job) -> dict[str, Any]:
        """Run one job to its end; the last event."""
        process = self._start(job)
        if process is None:
            return {"event": "stopped"}
        self.listen(job.spec, {"event": "begins"})
        last = process.follow(lambda event: self.listen(job.spec, event))
        self._alive.discard(process)
        return last

    def _start(self, job: Job) -> WorkerProcess | None:
        with self._lock:
            if self._stopping:
                return None
            log = self.settings.cache / "logs" / f"{job.spec.run_id}.log"
            process = WorkerProcess(job, log)
            self._alive.add(process)
            return process

    def stop(self) -> None:
        """Ask every worker to save and end; none starts any more."""
        with self._lock:
            self._stopping = True
            for process in self._alive:
                process.stop()
