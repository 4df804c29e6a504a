"""Runs that fail by themselves: said why, tried again only when asked, with more memory once."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.study.records import run_folder
from slurm.attempts import Attempts
from tests.command_line import CommandLine
from tests.slurm.commands import SweepCommands

PROFILE = {"executor": "debug", "heartbeat_seconds": 0.5, "lost_after_seconds": 5}
METHOD = """
from benchmark.api.baseline import Baseline


class Fails(Baseline):
    name = "fails"
    summary = "ends itself"

    def batch(self, step):
        raise {error}
"""


@pytest.fixture
def failing(adaptbench: CommandLine, content: dict[str, Any]) -> Any:
    """A sweep of one run whose method raises the given error."""

    def make(error: str) -> SweepCommands:
        (adaptbench.folder / "fails.py").write_text(METHOD.format(error=error))
        content["methods"] = ["./fails.py"]
        return SweepCommands(adaptbench, content, PROFILE)

    return make


@pytest.mark.long
def test_a_bug_is_a_failure_with_its_reason_until_somebody_retries(
    failing: Any, adaptbench: CommandLine
) -> None:
    sweep = failing('ValueError("no such luck")')
    sweep.submit()
    (status,) = sweep.statuses().values()
    assert status.state == "failed"
    assert "ValueError at step 0: no such luck" in status.reason
    assert "no such luck" in adaptbench("status", sweep.study).stdout.replace("\n", " ")
    assert "adaptbench retry" in sweep.submit()
    assert Attempts(sweep.results, status.run_id).count() == 1
    again = adaptbench("retry", sweep.study, "--failed")
    assert "1 runs submitted" in again.stderr
    kept = run_folder(sweep.results, status.run_id)
    assert (kept / "attempts" / "1.record.json").exists()
    assert (kept / "record.json").exists()
    assert Attempts(sweep.results, status.run_id).count() == 2
    assert "nothing to submit" in adaptbench("retry", sweep.study, "--lost").stderr


@pytest.mark.long
def test_who_runs_out_of_memory_gets_twice_as_much_once(
    failing: Any, adaptbench: CommandLine
) -> None:
    sweep = failing("MemoryError('no room')")
    asked = []
    for command in (("submit", "--profile", str(sweep.profile)), ("retry",), ("retry",)):
        done = adaptbench(command[0], sweep.study, *command[1:])
        assert done.returncode == 0, done.stderr
        (status,) = sweep.statuses().values()
        assert (status.state, status.out_of_memory) == ("failed", True)
        assert "out of memory: no room" in status.reason
        assert status.record is None
        asked.append(status.attempt.claim.memory_gb)
    assert asked == [4.0, 8.0, 8.0]
