"""A run in a process of its own, followed by the events that it sends."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmark.running.job_process import start_job_process
from benchmark.running.memory import how_to_need_less
from benchmark.running.worker import STOPPED, Job

ENDINGS = {"end", "refused", "stopped", "out_of_memory"}
CRASHES = {
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
}
_OOM_KILLS = Path("/proc/vmstat")


class WorkerProcess:
    """A worker on one job; what it prints is added to ``log``.

    ``environment`` adds to this process's own.
    """

    def __init__(self, job: Job, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log, self._job = log, job
        self._oom_kills = _out_of_memory_kills()
        self.process = start_job_process("benchmark.running.worker", job, log, environment)
        assert self.process.stdin is not None
        # One that is dead already is heard of by its silence.
        with suppress(BrokenPipeError), self.process.stdin as stdin:
            stdin.write(job.as_json())

    def follow(self, hear: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Pass on events until the worker has ended; the last, ``died`` if it did not say how."""
        assert self.process.stdout is not None
        last: dict[str, Any] = {"event": "nothing"}
        with self.process:
            for line in self.process.stdout:
                last = json.loads(line)
                hear(last)
        if last["event"] not in ENDINGS:
            last = self._how_it_died(self.process.returncode)
            hear(last)
        return last

    def has_ended(self) -> bool:
        """Whether the process is over; safe to ask in a signal handler while another call waits."""
        try:
            how = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return how is not None

    def stop(self) -> None:
        """Ask it to save before its next step and end."""
        self.process.send_signal(signal.SIGTERM)

    def _how_it_died(self, code: int) -> dict[str, Any]:
        if code == STOPPED:
            return {"event": "died", "reason": "stopped from outside; run again to go on"}
        if code == -signal.SIGKILL and _out_of_memory_kills() > self._oom_kills:
            said = f"killed for using too much memory; {how_to_need_less(self._job.spec)}"
            return {"event": "out_of_memory", "reason": said}
        if -code in CRASHES:
            how = f"crashed inside a library ({signal.Signals(-code).name}), and may do so again"
            return {"event": "died", "reason": f"the process {how}: {self.log} shows where"}
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return {
            "event": "died",
            "reason": f"the process {how}; run again to go on, details in {self.log}",
        }


def _out_of_memory_kills() -> int:
    """Processes that the kernel has killed for want of memory; 0 where it does not say."""
    if not _OOM_KILLS.exists():
        return 0
    lines = _OOM_KILLS.read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
