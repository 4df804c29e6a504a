"""What a job does: drive the workers of its runs, beat, save when told to, say how each ended.

The training itself is in a worker process. This process only listens, so that a signal finds it
idle and a death of the worker, of whatever kind, can be told apart and survived.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submitit import JobEnvironment
from submitit.core.utils import DelayedSubmission, UncompletedJobError
from submitit.helpers import TorchDistributedEnvironment

from benchmark.core.errors import UserError
from benchmark.core.frozen import Message
from benchmark.running.worker import Job, run_here
from benchmark.running.worker_process import WorkerProcess
from benchmark.study.records import read_record
from slurm.attempts import Attempts, AttemptState

SECONDS_FOR_REQUEUE = 2.0
"""After a worker was told to stop, the signal that requeues its job may still be on its way."""


class Order(Message):
    """One run for a job: what to run, as which attempt, and how patiently."""

    job: Job
    number: int
    processes: int
    in_this_process: bool
    heartbeat_seconds: float
    seconds_to_save: float
    max_restarts: int
    log: Path

    @property
    def attempts(self) -> Attempts:
        """Where the run's attempts are kept."""
        return Attempts(self.job.results, self.job.spec.run_id)


class Heartbeat:
    """Publishes the state of an attempt when it changes phase, and every few seconds."""

    def __init__(self, order: Order, job: str) -> None:
        self._order = order
        self._state = AttemptState(
            phase="running", job=job, host=socket.gethostname(), pid=os.getpid()
        )
        self._stage_began = (0.0, 0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.say()
        self._thread.start()

    @property
    def progress(self) -> tuple[bool, int]:
        """How far the run is: whether it is fine-tuning, and its step."""
        return self._state.stage == "fine_tuned", self._state.step

    def hear(self, event: dict[str, Any]) -> None:
        """Take in a worker's event."""
        if event["event"] != "step":
            return
        now, step = time.monotonic(), event["step"]
        if event["stage"] != self._state.stage or step < self._state.step:
            self._stage_began = (now, step)
        began, first = self._stage_began
        speed = (now - began) / (step - first) if step > first else None
        figures = {key: event[key] for key in ("stage", "step", "of", "loss")}
        self._state = self._state.model_copy(update={**figures, "seconds_per_step": speed})

    def note_restart(self) -> None:
        """Count a death of the worker."""
        self._state = self._state.model_copy(update={"restarts": self._state.restarts + 1})
        self.say()

    def end(self, phase: str, reason: str = "") -> None:
        """Publish the last state of this job's work on the attempt."""
        self._ended.set()
        self._thread.join()
        self._state = self._state.model_copy(update={"phase": phase, "reason": reason})
        self.say()

    def say(self) -> None:
        """Publish the state."""
        self._order.attempts.say(self._order.number, self._state)

    def _beat(self) -> None:
        while not self._ended.wait(self._order.heartbeat_seconds):
            try:
                self.say()
            except UserError as error:  # a full disk now may have room at the next beat
                print(error, file=sys.stderr)


class RunJob:
    """A job's runs, one after the other; what submitit keeps of it is text only.

    ``checkpoint`` is called in a signal handler while this process waits for its worker: it has
    the worker save and end, and hands the job back to the scheduler.
    """

    def __init__(self, orders: Sequence[str]) -> None:
        """``orders`` as JSON."""
        self._orders = tuple(orders)
        self._worker: WorkerProcess | None = None
        self._heartbeat: Heartbeat | None = None
        self._order: Order | None = None

    def __reduce__(self) -> tuple[type[RunJob], tuple[tuple[str, ...]]]:
        return RunJob, (self._orders,)

    def __call__(self) -> None:
        for text in self._orders:
            order = Order.from_json(text)
            record = read_record(order.job.results, order.job.spec.run_id)
            if record is None:
                self._run(order)

    def checkpoint(self) -> DelayedSubmission:
        """Save and go back to the queue."""
        # The scheduler's TERM must not hit the command that requeues this job.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self._worker is not None and self._order is not None:
            self._worker.stop()
            _wait(self._worker, self._order.seconds_to_save)
        if self._heartbeat is not None:
            self._heartbeat.end("requeued", "requeued; goes on from its checkpoint")
        return DelayedSubmission(self)

    def _run(self, order: Order) -> None:
        environment = JobEnvironment()
        leads = environment.global_rank == 0
        self._order = order
        self._heartbeat = Heartbeat(order, environment.job_id) if leads else None
        try:
            phase, reason = self._drive(order, _distributed(order))
        except SystemExit:  # requeued
            raise
        except UncompletedJobError as error:
            self._end("failed", str(error))
            raise
        except BaseException as error:
            if self._worker is not None:
                self._worker.stop()
            self._end("stopped", f"{type(error).__name__}: {error}")
            raise
        self._end(phase, reason)

    def _drive(self, order: Order, environment: dict[str, str]) -> tuple[str, str]:
        """The worker, started again if it dies, until it ends; a phase and a reason."""
        furthest, deaths = (False, -1), 0
        while True:
            last = self._work(order, environment)
            if last["event"] == "end":
                return last["status"], last["reason"]
            if last["event"] in {"refused", "out_of_memory"}:
                phase = "failed" if last["event"] == "refused" else "out_of_memory"
                return phase, last["reason"]
            if last["event"] == "stopped":
                time.sleep(SECONDS_FOR_REQUEUE)
                return "stopped", "told to stop from outside"
            if self._heartbeat is None:
                # Only the first process of a run says how the run ended.
                if self._leader_has_ended(order):
                    return "done", ""
                continue
            self._heartbeat.note_restart()
            if self._heartbeat.progress > furthest:
                furthest, deaths = self._heartbeat.progress, 0
            deaths += 1
            if deaths > order.max_restarts:
                return "failed", f"died {deaths} times without progress: {last['reason']}"

    def _work(self, order: Order, environment: dict[str, str]) -> dict[str, Any]:
        """The last event of the run's worker, or of the run itself if that shall be here."""
        if order.in_this_process:
            return run_here(order.job, self._hear)
        self._worker = WorkerProcess(order.job, order.log, environment)
        return self._worker.follow(self._hear)

    def _leader_has_ended(self, order: Order) -> bool:
        """Whether the first process of the run has given up; asked by the others."""
        time.sleep(order.heartbeat_seconds)
        attempt = order.attempts.last()
        return attempt is None or attempt.state is None or attempt.state.phase != "running"

    def _hear(self, event: dict[str, Any]) -> None:
        if self._heartbeat is not None:
            self._heartbeat.hear(event)

    def _end(self, phase: str, reason: str) -> None:
        if self._heartbeat is not None:
            self._heartbeat.end(phase, reason)
        self._heartbeat = self._worker = None


def _distributed(order: Order) -> dict[str, str]:
    """What torch.distributed needs to know, for a run on several processes."""
    if order.processes == 1:
        return {}
    found = TorchDistributedEnvironment()
    one_node = JobEnvironment().num_nodes == 1
    return {
        # A cluster's name for a node may mean nothing to the node itself.
        "MASTER_ADDR": "127.0.0.1" if one_node else found.master_addr,
        "MASTER_PORT": str(found.master_port),
        "RANK": str(found.rank),
        "WORLD_SIZE": str(found.world_size),
        "LOCAL_RANK": str(found.local_rank),
    }


def _wait(worker: WorkerProcess, seconds: float) -> None:
    """Until the worker has saved; one that takes too long loses what is new since it saved last."""
    deadline = time.monotonic() + seconds
    while not worker.has_ended():
        if time.monotonic() > deadline:
            print(f"not saved within {seconds:.0f} s; goes on from the last checkpoint", flush=True)
            worker.process.kill()
            return
        time.sleep(0.05)
