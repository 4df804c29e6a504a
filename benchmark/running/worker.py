"""One run in one process: ``python -m benchmark.running.worker < job.json``.

With WORLD_SIZE and RANK in the environment, the process is one of several that make the run; all
are given the same job, and the first one alone writes files and sends steps and the end.

Events go to standard output as JSON lines; everything else that is printed goes to standard
error. A TERM, INT or USR2 signal saves a checkpoint before the next step and ends with code 130,
and so does the end of whoever reads the events.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError, one_line
from benchmark.core.frozen import Message
from benchmark.data import PreparedData, open_prepared
from benchmark.running.memory import how_to_need_less, peak_device_memory, peak_memory
from benchmark.running.tracking import Tracker, Tracking
from benchmark.study.environment import describe
from benchmark.study.records import RunRecord, StageResult, write_metrics, write_record
from benchmark.study.study import RunSpec

STOPPED = 130
SECONDS_BETWEEN_EVENTS = 0.2


class Job(Message):
    """What a worker is given."""

    spec: RunSpec
    prepared: Path
    results: Path
    cache: Path
    device: str
    threads: int
    track: Tracker | None = None

    def state_folder(self, data: PreparedData) -> Path:
        """Folder of the run's checkpoint and trained weights."""
        return self.cache / "runs" / f"{self.spec.run_id}-{data.fingerprint[:8]}"


class _Events:
    """What a run tells of itself; notes when nobody listens or when a signal asks to stop."""

    def __init__(self, hear: Callable[[dict[str, Any]], None]) -> None:
        self.hear = hear
        self.stop = False
        self.last: dict[str, Any] = {"event": "nothing"}
        self._sent = 0.0

    def send(self, event: str, **values: Any) -> None:
        self.last = {"event": event, **values}
        try:
            self.hear(self.last)
        except OSError:
            self.stop = True

    def step(self, stage: str, step: int, of: int, loss: float) -> None:
        now = time.monotonic()
        if now - self._sent >= SECONDS_BETWEEN_EVENTS or step == of:
            self._sent = now
            self.send("step", stage=stage, step=step, of=of, loss=loss)

    def on_signal(self, *_: object) -> None:
        self.stop = True


def main() -> int:
    """Run the job on standard input; 0 when a record was written, 130 when stopped."""
    faulthandler.enable()  # where a library crashes goes into the log
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    events = _Events(lambda event: print(json.dumps(event), file=stream, flush=True))
    os.dup2(2, 1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, events.on_signal)
    return _work_or_refuse(Job.from_json(sys.stdin.read()), events)


def run_here(job: Job, hear: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Run a job in this process, to look into it; the last of the events that ``hear`` gets."""
    events = _Events(hear)
    _work_or_refuse(job, events)
    return events.last


def _work_or_refuse(job: Job, events: _Events) -> int:
    try:
        return _work(job, events)
    except UserError as error:
        events.send("refused", reason=str(error))
    except Exception as error:
        traceback.print_exc()
        if _is_out_of_memory(error):
            said = f"out of memory: {error}".splitlines()[0]
            events.send("out_of_memory", reason=f"{said}; {how_to_need_less(job.spec)}")
        elif isinstance(error, OSError):  # of disks and networks, which may be back next time
            raise
        else:  # the same again, however often it is tried
            events.send("refused", reason=f"{type(error).__name__}: {one_line(error)}")
    return 2


def _work(job: Job, events: _Events) -> int:
    # Imported here so that a bad job is refused at once.
    from benchmark.models.parallel import LostProcessError, is_first, joined
    from benchmark.training.hooks import InterruptedRunError

    started = datetime.now(UTC).isoformat(timespec="seconds")
    data = open_prepared(job.prepared)
    try:
        with joined(job.device):
            record = _train(job, data, events, started)
            if is_first():
                write_record(job.results, record)
                events.send("end", status=record.status, reason=record.reason)
    except InterruptedRunError:
        events.send("stopped")
        return STOPPED
    except LostProcessError as error:
        events.send("died", reason=str(error))
        # Torch's threads may wait for the lost process at exit, or abort.
        os._exit(1)
    return 0


def _train(job: Job, data: PreparedData, events: _Events, started: str) -> RunRecord:
    from benchmark.methods.registry import planned_method
    from benchmark.models.checkpoint import model_state, save_checkpoint, weights_hash
    from benchmark.models.influence import approximated
    from benchmark.models.parallel import LostProcessError, is_first, processes
    from benchmark.training.beginnings import SharedStage, kept_results
    from benchmark.training.hooks import DivergedError, Hooks, InterruptedRunError
    from benchmark.training.loop import Trainer
    from benchmark.training.start import initial_model, set_up_torch

    spec = job.spec
    set_up_torch(job.device, job.threads)
    model = initial_model(spec, data, job.device)
    initial_weights = weights_hash(model)
    environment = describe(job.device, job.threads, processes())
    folder = job.state_folder(data)
    tracking = Tracking(job.track if is_first() else None, spec, job.results)

    def publish(lines: list[dict[str, Any]]) -> None:
        write_metrics(job.results, spec.run_id, lines)
        tracking.hear(lines)

    hooks = Hooks(
        on_step=events.step,
        on_metrics=publish,
        should_stop=lambda: events.stop,
    )
    trainer = Trainer(
        spec,
        data,
        model.to(job.device),
        planned_method(spec.method),
        folder / "checkpoint.safetensors",
        hooks,
        SharedStage(spec, data.fingerprint, environment, job.cache),
        kept_results(spec, data.fingerprint, environment, job.cache),
    )
    outcome: dict[str, Any]
    try:
        outcome = {"status": "done", "stages": trainer.run()}
    except DivergedError as error:
        outcome = _failure(trainer, f"{error}; lower the rate", error.step)
    except (InterruptedRunError, LostProcessError, UserError):
        raise
    except Exception as error:  # a method's bug must not end the study
        if _is_out_of_memory(error):
            raise
        traceback.print_exc()
        step = trainer.progress.step
        outcome = _failure(trainer, f"{type(error).__name__} at step {step}: {error}", step)
    finally:
        tracking.end()
    if is_first():
        if outcome["status"] == "done":
            save_checkpoint(folder / "trained.safetensors", trainer.progress.trained_weights)
            save_checkpoint(folder / "fine_tuned.safetensors", model_state(model))
        trainer.checkpoint.unlink(missing_ok=True)
    return RunRecord(
        run_id=spec.run_id,
        key=spec.key,
        protocol=spec.protocol,
        spec=spec,
        data=data.summary(),
        parameters=sum(p.numel() for p in model.parameters()),
        initial_weights=initial_weights,
        environment=environment,
        central_differences=approximated(model),
        memory_bytes=peak_memory(),
        device_memory_bytes=peak_device_memory(job.device),
        started=started,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        **outcome,
    )


def _failure(trainer: Any, reason: str, step: int) -> dict[str, Any]:
    """A failed run keeps the results of the stages that it finished."""
    finished = [StageResult.model_validate(result) for result in trainer.progress.results]
    return {"status": "failed", "reason": reason, "failed_at_step": step, "stages": finished}


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, which says something of the machine and nothing of the run."""
    said = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in said or "can't allocate memory" in said or "bad_alloc" in said)
    )


if __name__ == "__main__":
    sys.exit(main())
