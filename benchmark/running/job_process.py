"""A process of its own for a job: what every one of them is started with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmark.running.worker import Job

# Whatever encoding the user's terminal has, jobs and events are UTF-8.
_UTF_8 = {"PYTHONIOENCODING": "utf-8"}


def start_job_process(
    module: str, job: Job, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """``module`` as the main program, to be written the job; its errors are added to ``log``.

    ``environment`` adds to this process's own.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    # -P: no file in the user's folder shadows a module. A session of its own: a Ctrl-C reaches
    # the process only through us.
    with log.open("a", encoding="utf-8") as errors:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            start_new_session=True,
            env={**os.environ, **_fixed_threads(job.threads), **_UTF_8, **(environment or {})},
        )


def _fixed_threads(threads: int) -> dict[str, str]:
    """Thread pools of the right size from the start, and one order of summation."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "TOKENIZERS_PARALLELISM": "false",
    }
