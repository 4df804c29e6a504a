"""Step times and what a study will take, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_line import CommandLine

WriteStudy = Callable[[dict[str, Any]], Path]
SMALL = {"kind": "bag_of_ngrams", "embedding": 8, "hidden": 8, "span": 1}


@pytest.mark.long
def test_time_dry_run_and_table(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    dds = {"method": "dds", "hyperparameters": {"update_every": 3, "network": SMALL}}
    file = write_study(content | {"methods": ["pretraining", dds]})
    results = adaptbench.folder / "results" / "tiny"

    first = adaptbench("run", "--dry-run", file)
    assert first.returncode == 0, first.stderr
    assert "2 runs: 0 done, 2 missing" in first.stdout
    assert first.stdout.count("steps timed just now") == 2
    assert not results.exists()

    profile = adaptbench.folder / "profile.yaml"
    profile.write_text(yaml.safe_dump({"executor": "local"}), encoding="utf-8")
    sent = adaptbench("submit", file, "--profile", profile, "--dry-run")
    assert "core-hours for 2 runs, by steps timed just now" in sent.stdout
    assert not list(results.glob("runs/*"))

    timing = adaptbench("time", file, "--rounds", "2", "--steps", "1")
    assert timing.returncode == 0, timing.stderr
    times = json.loads((results / "step_times.json").read_text(encoding="utf-8"))
    plain, selector = times["methods"]
    assert plain["ratio"]["median"] == 1.0
    assert {"data", "scoring", "outer update", "main update", "other"} == selector["parts"].keys()
    assert sum(selector["parts"].values()) == pytest.approx(selector["seconds"]["median"])
    assert {name: phase["steps"] for name, phase in selector["phases"].items()} == {
        "learn": 4,
        "draw": 8,
    }
    assert selector["memory_bytes"] > 1e7

    run = adaptbench("run", file, "--methods", "pretraining", "--no-report")
    assert run.returncode == 0, run.stderr
    second = adaptbench("run", "--dry-run", file)
    assert "2 runs: 1 done, 1 missing" in second.stdout
    assert "step times measured" in second.stdout
    assert "step times measured apart" in adaptbench("table", "tiny").stdout.replace("\n", " ")
    (results / "step_times.json").unlink()
    third = adaptbench("run", "--dry-run", write_study(content | {"seeds": [0, 1]}))
    assert "records of such runs" in third.stdout


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, ("--methods", "dss"), "--methods: unknown method 'dss'"),
        (
            {"methods": ["dds"], "training": {"steps": 9, "big_batch": 8, "batch": 32}},
            (),
            "big_batch",
        ),
    ],
)
def test_what_cannot_be_timed_is_told_in_one_line(
    adaptbench: CommandLine,
    content: dict[str, Any],
    write_study: WriteStudy,
    change: dict[str, Any],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    ended = adaptbench("time", write_study(content | change), *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (adaptbench.folder / "results" / "tiny").exists()
