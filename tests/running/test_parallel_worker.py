"""Two real workers make one run: who writes, and what a mishap of one does to the other."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmark.data import PreparedData
from benchmark.running.worker import Job
from benchmark.study.records import RunRecord, read_record
from benchmark.study.study import RunSpec

METHOD = """
import os

from baselines.pretraining import Pretraining


class Unlucky(Pretraining):
    name = "unlucky"
    summary = "pretraining, with mishaps"

    def batch(self, step):
        mishap, first = os.environ["MISHAP"], os.environ["RANK"] == "0"
        if step == 6 and (mishap == "all raise" or mishap == "one raises" and not first):
            raise RuntimeError("out of luck")
        return super().batch(step)
"""


@dataclass
class Ended:
    """A worker that has ended: its code, its events other than steps, its errors."""

    code: int
    events: list[dict[str, Any]]
    errors: str


class Pair:
    """One job, given to two workers."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def run(self, mishap: str = "") -> list[Ended]:
        """Run both to their ends."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        alive = [self._start(rank, {"MASTER_PORT": str(port), "MISHAP": mishap}) for rank in (0, 1)]
        return [_ended(process) for process in alive]

    def _start(self, rank: int, environment: dict[str, str]) -> subprocess.Popen[str]:
        place = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "benchmark.running.worker"],
            env={**os.environ, **place, **environment, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(self.job.model_dump_json())
        process.stdin.close()
        process.stdin = None
        return process

    @property
    def record(self) -> RunRecord | None:
        return read_record(self.job.results, self.job.spec.run_id)


def _ended(process: subprocess.Popen[str]) -> Ended:
    try:
        out, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    events = [json.loads(line) for line in out.splitlines()]
    return Ended(process.returncode, [e for e in events if e["event"] != "step"], errors)


@pytest.fixture
def pair(spec: Callable[..., RunSpec], data: PreparedData, tmp_path: Path) -> Pair:
    file = tmp_path / "unlucky.py"
    file.write_text(METHOD)
    return Pair(
        Job(
            spec=spec(str(file)),
            prepared=data.folder,
            results=tmp_path / "results",
            cache=tmp_path / "cache",
            device="cpu",
            threads=1,
        )
    )


@pytest.mark.long
def test_one_that_raises_ends_both_and_the_run_goes_on(pair: Pair) -> None:
    first, second = pair.run("one raises")
    assert first.code == 1
    (event,) = first.events
    assert event["event"] == "died"
    assert "another process of the run has ended" in event["reason"]
    assert "RuntimeError: out of luck" in second.errors
    assert pair.record is None

    first, second = pair.run()
    assert (first.code, second.code) == (0, 0), first.errors + second.errors
    assert [event["event"] for event in first.events] == ["end"]
    assert second.events == []
    record = pair.record
    assert record is not None
    assert record.status == "done"
    assert record.environment.processes == 2
    assert record.stages[0].cost.examples == 12 * 8
    kept = {file.name for file in pair.job.cache.rglob("*.safetensors")}
    assert kept == {"trained.safetensors", "fine_tuned.safetensors"}


@pytest.mark.long
def test_what_all_raise_is_recorded(pair: Pair) -> None:
    first, second = pair.run("all raise")
    assert (first.code, second.code) == (0, 0), first.errors + second.errors
    assert [event["event"] for event in first.events] == ["end"]
    assert second.events == []
    record = pair.record
    assert record is not None
    assert record.reason == "RuntimeError at step 6: out of luck"
