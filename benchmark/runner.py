"""A study on this machine: what is missing is run, one process a run, with live progress."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.data import PreparedData, prepare
from benchmark.errors import UserError
from benchmark.records import read_record, write_index
from benchmark.study import RunSpec, Study
from benchmark.worker import STOPPED, Job, data_fingerprint

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
    labels: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What became of each run, by run id; ``failed`` and ``died`` map to reasons."""

    found: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    died: dict[str, str] = field(default_factory=dict)
    stopped: bool = False


def run_study(
    study: Study, settings: Settings, listen: Listener, building: Callable[[str, int], None]
) -> Outcome:
    """Run what the study still lacks; ``study`` has its hyper-parameters resolved.

    ``listen(spec, event)`` hears of each run's progress, ``building(what, rows)`` of token rows.

    Raises:
        UserError: the data cannot be prepared, or is not what earlier results were made with.
    """
    wanted = [run for run in study.runs() if _selected(run, settings.labels)]
    outcome = Outcome()
    prepared = {run.target_name: run for run in wanted}
    folders = {
        name: prepare(run.data, run.target, settings.cache, building)
        for name, run in prepared.items()
    }
    missing = [
        run for run in wanted if _is_missing(run, folders[run.target_name], settings, outcome)
    ]
    write_index(settings.results, study)
    if missing:
        _run_all(
            [_job(run, folders[run.target_name], settings) for run in missing],
            settings,
            listen,
            outcome,
        )
    return outcome


def _selected(run: RunSpec, labels: tuple[str, ...]) -> bool:
    return not labels or run.method.label in labels


def _is_missing(run: RunSpec, data: PreparedData, settings: Settings, outcome: Outcome) -> bool:
    record = read_record(settings.results, run.run_id)
    if record is None:
        return True
    if record.data["fingerprint"] != data_fingerprint(data):
        raise UserError(
            f"{settings.results}: run {run.run_id} was made with other data (the files of target "
            f"{run.target_name!r} or of the generic corpus have changed since): rename the study "
            "or give another --results folder"
        )
    if record.status == "failed" and settings.retry_failed:
        return True
    if record.status == "failed":
        outcome.failed[run.run_id] = record.reason
    else:
        outcome.found.append(run.run_id)
    return False


def _job(run: RunSpec, data: PreparedData, settings: Settings) -> Job:
    return Job(
        spec=run,
        prepared=data.folder,
        results=settings.results.absolute(),
        cache=settings.cache,
        device=settings.device,
        threads=settings.threads,
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
    elif end["event"] in {"refused", "died"}:
        outcome.died[run_id] = end["reason"]


class _Workers:
    """The worker processes that are alive."""

    def __init__(self, settings: Settings, listen: Listener) -> None:
        self.settings, self.listen = settings, listen
        self._alive: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopping = False

    def run(self, job: Job) -> dict[str, Any]:
        """Run one job to its end; the last event, ``died`` if the process said nothing."""
        log = self.settings.cache / "logs" / f"{job.spec.run_id}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as errors:
            process = self._start(errors)
            if process is None:
                return {"event": "stopped"}
            assert process.stdin is not None
            assert process.stdout is not None
            with process, process.stdin as stdin:
                stdin.write(job.model_dump_json())
                stdin.close()
                last = self._follow(job.spec, process.stdout)
            self._alive.discard(process)
        if last["event"] in {"end", "refused", "stopped"}:
            return last
        end = {"event": "died", "reason": _how_it_died(process.returncode, log)}
        self.listen(job.spec, end)
        return end

    def _start(self, errors: Any) -> subprocess.Popen[str] | None:
        """A new worker in a session of its own, so that a Ctrl-C reaches it only through us."""
        with self._lock:
            if self._stopping:
                return None
            # -P: no file in the user's folder shadows a module.
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "benchmark.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                env=_environment(self.settings.threads),
            )
            self._alive.add(process)
            return process

    def _follow(self, spec: RunSpec, lines: Any) -> dict[str, Any]:
        event: dict[str, Any] = {"event": "nothing"}
        for line in lines:
            event = json.loads(line)
            self.listen(spec, event)
        return event

    def stop(self) -> None:
        """Ask every worker to save and end; none starts any more."""
        with self._lock:
            self._stopping = True
            for process in self._alive:
                process.send_signal(signal.SIGTERM)


def _environment(threads: int) -> dict[str, str]:
    """The worker's environment: thread pools of the right size from the start."""
    fixed = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {**os.environ, **fixed}


def _how_it_died(code: int, log: Path) -> str:
    if code == STOPPED:
        return "stopped from outside; run again to go on"
    how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    return f"the process was {how}{hint}; run again to go on, details in {log}"
