"""A run in a process of its own, followed by the events that it sends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

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

# Whatever encoding the user's terminal has, jobs and events are UTF-8.
UTF_8 = {"PYTHONIOENCODING": "utf-8"}


class WorkerProcess:
    """A worker on one job; what it prints is added to ``log``.

    ``environment`` adds to this process's own.
    """

    def __init__(self, job: Job, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self._oom_kills = _out_of_memory_kills()
        log.parent.mkdir(parents=True, exist_ok=True)
        # -P: no file in the user's folder shadows a module. A session of its own: a Ctrl-C reaches
        # the worker only through us.
        with log.open("a", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "benchmark.running.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                start_new_session=True,
                env={**os.environ, **_fixed(job.threads), **UTF_8, **(environment or {})},
            )
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
            return {"event": "out_of_memory", "reason": "killed for using too much memory"}
        if -code in CRASHES:
            how = f"crashed inside a library ({signal.Signals(-code).name}), and may do so again"
            return {"event": "died", "reason": f"the process {how}: {self.log} shows where"}
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return {
            "event": "died",
            "reason": f"the process {how}; run again to go on, details in {self.log}",
        }


def _fixed(threads: int) -> dict[str, str]:
    """Thread pools of the right size from the start, and one order of summation."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "TOKENIZERS_PARALLELISM": "false",
    }


def _out_of_memory_kills() -> int:
    """Processes that the kernel has killed for want of memory; 0 where it does not say."""
    if not _OOM_KILLS.exists():
        return 0
    lines = _OOM_KILLS.read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
