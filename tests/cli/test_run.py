"""The main job through the command line: run, find done, add, interrupt, kill, fail."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine
from tests.conftest import wait_for

WriteStudy = Callable[[dict[str, Any]], Path]


def records(folder: Path, study: str = "tiny") -> dict[str, dict[str, Any]]:
    files = (folder / "results" / study / "runs").glob("*/record.json")
    return {file.parent.name: json.loads(file.read_text()) for file in files}


def losses(folder: Path, study: str = "tiny") -> dict[str, list[Any]]:
    """Every loss of every run, and its whole bill but for the seconds."""
    found = {}
    for run_id, record in records(folder, study).items():
        for stage in record["stages"]:
            stage["cost"].pop("seconds")
        metrics = folder / "results" / study / "runs" / run_id / "metrics.jsonl"
        lines = [json.loads(line) for line in metrics.read_text().splitlines()]
        found[run_id] = [record["stages"], [{**line, "seconds": 0} for line in lines]]
    return found


def checkpoints(cache: Path) -> dict[Path, int]:
    """When each run's checkpoint was written."""
    files = (cache / "runs").glob("*/checkpoint.safetensors")
    return {file: file.stat().st_mtime_ns for file in files}


def long_study(content: dict[str, Any]) -> dict[str, Any]:
    """One run of some seconds, with many checkpoints."""
    training = content["training"] | {"steps": 1000, "evaluate_every": 50}
    return content | {"training": training, "methods": ["pretraining"]}


@pytest.mark.long
def test_run_part_then_all_then_find_done_then_add(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    folder, results = adaptbench.folder, adaptbench.folder / "results" / "tiny"
    file = write_study(content)
    assert "did you mean 'target_only'" in adaptbench("run", file, "--methods", "taget_only").stderr
    nowhere = adaptbench("run", file, "--targets", "harbor")
    assert "--targets: unknown target 'harbor'" in nowhere.stderr
    part = adaptbench(
        "run", file, "--methods", "target_only", "--targets", "harbour", "--no-report"
    )
    assert part.returncode == 0, part.stderr
    assert [record["spec"]["method"]["label"] for record in records(folder).values()] == [
        "target_only"
    ]
    whole = adaptbench("run", file)
    assert "1 run now, 1 found done" in whole.stderr
    made = records(folder)
    assert {record["status"] for record in made.values()} == {"done"}
    assert len({record["initial_weights"] for record in made.values()}) == 1
    for name in ("table.md", "table.html", "table.csv", "table.tex", "study.json"):
        assert (results / name).stat().st_size > 0
    assert {figure.suffix for figure in (results / "figures").iterdir()} == {".png", ".pdf"}

    written = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    again = adaptbench("run", file)
    assert again.returncode == 0
    assert "0 run now, 2 found done" in again.stderr
    assert again.stdout == whole.stdout
    assert "Test loss (nats/byte) at equal steps" in whole.stdout
    assert "Cost" in whole.stdout
    assert "adaptbench table tiny" in whole.stdout
    assert "Ranks" not in whole.stdout
    assert len(whole.stdout.splitlines()) < 40
    written.pop(results / "study.json")
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in written.items())

    assert "Ranks" in adaptbench("table", file).stdout

    more = write_study(content | {"methods": [*content["methods"], "random"]})
    added = adaptbench("run", more, "--no-report")
    assert "1 run now, 2 found done" in added.stderr
    now = records(folder)
    assert len(now) == 3
    assert all(now[run_id] == record for run_id, record in made.items())


@pytest.mark.long
def test_jobs_and_order_change_no_bit(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    reversed_ = content | {"methods": content["methods"][::-1]}
    adaptbench("run", write_study(content), "--jobs", "2", "--no-report")
    together = losses(adaptbench.folder)
    (adaptbench.folder / "results").rename(adaptbench.folder / "before")
    adaptbench("run", write_study(reversed_), "--no-report")
    assert losses(adaptbench.folder) == together


@pytest.mark.long
def test_interrupted_then_killed_it_goes_on_to_the_same_bits(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    file = write_study(long_study(content))
    folder = adaptbench.folder
    for sent, code in (
        (signal.SIGINT, 130),
        (signal.SIGTERM, 130),
        (signal.SIGKILL, -signal.SIGKILL),
    ):
        found = checkpoints(adaptbench.cache)
        process = adaptbench.start("run", file, "--no-report", start_new_session=True)
        wait_for(lambda found=found: checkpoints(adaptbench.cache) not in ({}, found))
        time.sleep(0.5)
        os.kill(process.pid, sent)
        _, err = process.communicate(timeout=60)
        assert process.returncode == code, err
        assert sent == signal.SIGKILL or "run the same command to go on" in err
        assert "Traceback" not in err
        assert records(folder) == {}

    resumed = adaptbench("run", file, "--no-report")
    assert resumed.returncode == 0, resumed.stderr
    pieces = losses(folder)
    (folder / "results").rename(folder / "pieces")
    whole = adaptbench("run", file, "--no-report", "--cache", folder / "fresh")
    assert whole.returncode == 0, whole.stderr
    assert losses(folder) == pieces


@pytest.mark.long
def test_killed_worker_is_reported_and_goes_on(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    import psutil

    file = write_study(long_study(content))
    process = adaptbench.start("run", file, "--no-report")
    wait_for(lambda: checkpoints(adaptbench.cache))
    children = psutil.Process(process.pid).children()
    workers = [child for child in children if "benchmark.running.worker" in child.cmdline()]
    workers[0].kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "killed by signal 9" in err
    assert records(adaptbench.folder) == {}
    assert adaptbench("run", file, "--no-report").returncode == 0
    assert len(records(adaptbench.folder)) == 1


@pytest.mark.long
def test_divergence_fails_the_run_and_the_study_goes_on(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    hopeless = content["training"] | {"rate": 1e30}
    file = write_study(content | {"training": hopeless})
    result = adaptbench("run", file)
    made = {
        record["spec"]["method"]["label"]: record for record in records(adaptbench.folder).values()
    }
    assert len(made) == 2
    assert result.returncode == 1
    for record in made.values():
        assert record["status"] == "failed"
        assert record["failed_at_step"] in (1, 2, 3)
        assert f"loss is nan at step {record['failed_at_step']}" in record["reason"]
        assert record["reason"] in result.stderr
    again = adaptbench("run", file, "--no-report")
    assert again.returncode == 1
    assert "0 run now" in again.stderr
    assert next(iter(made.values()))["reason"] in again.stderr


@pytest.mark.long
def test_changed_data_and_damaged_records_are_not_mixed_in(
    adaptbench: CommandLine,
    content: dict[str, Any],
    write_study: WriteStudy,
    corpus: tuple[Path, Path],
) -> None:
    file = write_study(content | {"methods": ["pretraining"]})
    assert adaptbench("run", file, "--no-report").returncode == 0
    before = records(adaptbench.folder)
    target = corpus[1]
    target.write_text(target.read_text() + "\n\nOne more paragraph about quite another thing.")
    result = adaptbench("run", file, "--no-report")
    assert result.returncode == 2
    assert "was made with other data" in result.stderr
    assert records(adaptbench.folder) == before

    record = next((adaptbench.folder / "results" / "tiny" / "runs").glob("*/record.json"))
    record.write_text(record.read_text()[:-40])
    damaged = adaptbench("table", file)
    assert damaged.returncode == 2
    assert "record.json: not a valid record" in damaged.stderr


@pytest.mark.long
def test_full_disk_loses_nothing(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    """Checkpoints go to a file system of 200 kB; the results are elsewhere."""
    import subprocess

    file = write_study(content)
    assert adaptbench("run", file, "--methods", "pretraining", "--no-report").returncode == 0
    before = records(adaptbench.folder)
    runs = adaptbench.cache / "runs"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(runs)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.decode().strip()}")
    try:
        result = adaptbench("run", file, "--no-report")
    finally:
        subprocess.run(["umount", str(runs)], check=True)
    assert result.returncode == 1
    assert "checkpoint cannot be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert records(adaptbench.folder) == before
    assert adaptbench("run", file, "--no-report").returncode == 0
    assert len(records(adaptbench.folder)) == 2
