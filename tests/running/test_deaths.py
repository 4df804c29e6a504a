"""What is said of a worker that ends before its time: whether it helps to run it again."""

from __future__ import annotations

import io
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmark.running import worker
from benchmark.running.worker_process import WorkerProcess


@pytest.mark.parametrize(
    ("code", "said", "again"),
    [
        (-signal.SIGSEGV, r"crashed inside a library \(SIGSEGV\)", False),
        (-signal.SIGABRT, r"crashed inside a library \(SIGABRT\)", False),
        (-signal.SIGKILL, "killed by signal 9", True),
    ],
)
def test_a_crash_is_told_from_a_kill(code: int, said: str, again: bool) -> None:
    process = WorkerProcess.__new__(WorkerProcess)
    process.log, process._oom_kills = Path("a.log"), 1 << 60
    last = process._how_it_died(code)
    assert last["event"] == "died"
    assert re.search(said, last["reason"])
    assert ("run again" in last["reason"]) == again


def _events(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[dict[str, Any]]:
    def work(*_: object) -> int:
        raise error

    monkeypatch.setattr(worker, "_work", work)
    monkeypatch.setattr(worker.sys, "stderr", io.StringIO())
    heard: list[dict[str, Any]] = []
    worker._work_or_refuse(None, worker._Events(heard.append))  # type: ignore[arg-type]
    return heard


def test_what_will_fail_again_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    (event,) = _events(monkeypatch, OverflowError("too\nlarge"))
    assert event == {"event": "refused", "reason": "OverflowError: too large"}


def test_a_disk_may_be_back_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="gone"):
        _events(monkeypatch, OSError("gone"))
