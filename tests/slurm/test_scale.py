"""Ten thousand runs: ten seconds and 150 MiB more than a few (slow: it makes them all).

What a command takes to start depends on the machine and on its packages; it is measured on a few
runs and not counted, nor is the time that others take from the processor.

``pytest tests/slurm/test_scale.py -m slow -s`` prints how the figures grow.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.methods.registry import resolve
from benchmark.study.loading import load_study
from benchmark.study.records import run_folder, write_index
from slurm.attempts import AttemptState, Claim
from tests.command_line import CommandLine
from tests.slurm import sweeps

LIMIT_SECONDS, LIMIT_MEBIBYTES = 10.0, 150.0
FEW = 100
COMMANDS = (("submit", "--profile", "profile.yaml", "--dry-run"), ("status",), ("collect",))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def synthesise(folder: Path, runs: int) -> None:
    """A study of so many runs, half of them done and the rest dispatched, running or not begun."""
    content: dict[str, Any] = sweeps.study(seeds=runs // 2).model_dump(mode="json")
    (folder / "study.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (folder / "profile.yaml").write_text("executor: slurm\n", encoding="utf-8")
    study = resolve(load_study(folder / "study.yaml"))
    results = folder / "results" / study.study
    every = study.runs()
    jobs = {run.run_id: f"7_{number}" for number, run in enumerate(every) if number % 4}
    sweeps.submission(results, jobs=jobs)
    write_index(results, study)
    for number, run in enumerate(every):
        files = run_folder(results, run.run_id)
        (files / "attempts").mkdir(parents=True)
        if number % 4:
            claim = Claim(number=1, submission="first", memory_gb=4.0)
            (files / "attempts" / "1.claim.json").write_text(claim.model_dump_json())
        if number % 4 > 1:
            said = AttemptState(phase="running", stage="trained", step=10, of=100)
            (files / "attempts" / "1.state.json").write_text(said.model_dump_json())
        if number % 4 in {1, 2}:  # of both methods, so that records tell what others take
            (files / "record.json").write_text(sweeps.record(run).model_dump_json())


def measure(adaptbench: CommandLine, *arguments: str) -> tuple[float, float]:
    """Seconds of processor of a command, and the most memory that it held, in MiB."""
    process = adaptbench.start(*arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        printed = process.stdout.read() + process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, printed
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure_all(folder: Path, runs: int) -> dict[str, tuple[float, float]]:
    """What each command takes on a study of so many runs."""
    folder.mkdir()
    synthesise(folder, runs)
    taken = {}
    for command, *options in COMMANDS:
        taken[command] = measure(CommandLine(folder), command, "study.yaml", *options)
        seconds, mebibytes = taken[command]
        print(f"{runs:6d} runs  {command:8s} {seconds:5.1f} s  {mebibytes:4.0f} MiB")
    return taken


def test_commands_on_many_runs(tmp_path: Path) -> None:
    few = measure_all(tmp_path / "few", FEW)
    for runs in (1000, 10_000):
        for command, (seconds, mebibytes) in measure_all(tmp_path / f"{runs}", runs).items():
            assert seconds - few[command][0] < LIMIT_SECONDS
            assert mebibytes - few[command][1] < LIMIT_MEBIBYTES
