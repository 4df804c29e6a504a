"""Measurements of runs in other programs: each once, under the names of the record."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmark.core.errors import UserError
from benchmark.data import PreparedData
from benchmark.running.tracking import Tracking, require_tracker
from benchmark.running.worker import Job, run_here
from benchmark.study.records import load_metrics, run_folder
from benchmark.study.study import RunSpec

MakeSpec = Callable[..., RunSpec]


def test_event_files_hold_the_metrics_of_the_record(
    spec: MakeSpec, data: PreparedData, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = spec("dds")
    folders: dict[str, Any] = {"prepared": data.folder, "results": tmp_path, "cache": tmp_path}
    for _ in range(2):  # the second time over the files of the first
        run_here(
            Job(spec=run, device="cpu", threads=1, track="tensorboard", **folders), lambda _: None
        )
    events = EventAccumulator(str(run_folder(tmp_path, run.run_id) / "tensorboard"))
    events.Reload()
    lines = load_metrics(tmp_path, run.run_id)
    for stage, first in (("trained", 0), ("fine_tuned", run.training.steps)):
        own = [line for line in lines if line["stage"] == stage]
        seen = events.Scalars(f"{stage}/valid_loss")
        assert [event.step for event in seen] == [first + line["step"] for line in own]
        assert [event.value for event in seen] == pytest.approx([e["valid_loss"] for e in own])
    assert "trained/outer_loss" in events.Tags()["scalars"]


@pytest.mark.parametrize("fails", ["log", "finish"])
def test_a_tracker_that_fails_ends_no_run(
    fails: str,
    spec: MakeSpec,
    data: PreparedData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("the network\nis gone")

    fake: Any = ModuleType("wandb")
    fake.init = fake.log = fake.finish = lambda *_, **__: None
    setattr(fake, fails, fail)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    folders: dict[str, Any] = {"prepared": data.folder, "results": tmp_path, "cache": tmp_path}
    job = Job(spec=spec("pretraining"), device="cpu", threads=1, track="wandb", **folders)
    last = run_here(job, lambda _: None)
    assert (last["event"], last["status"]) == ("end", "done")
    said = capsys.readouterr().err
    assert said.count("--track: wandb is told no more: the network is gone") == 1


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_each_measurement_is_handed_on_once(
    name: Any, spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, Any]] = []
    fake: Any = ModuleType(name)
    fake.__spec__ = importlib.machinery.ModuleSpec(name, None)
    fake.init = lambda **settings: calls.append(("init", settings))
    fake.log = lambda numbers, step: calls.append(("log", (step, numbers)))
    fake.finish = lambda: calls.append(("finish", None))
    monkeypatch.setitem(sys.modules, name, fake)
    require_tracker(name)
    run = spec("pretraining")
    tracking = Tracking(name, run, tmp_path / "mine")
    lines: list[dict[str, Any]] = [{"stage": "trained", "step": 4, "valid_loss": 2.0}]
    tracking.hear(lines)
    lines.append({"stage": "fine_tuned", "step": 8, "valid_loss": 1.5, "rows": [1, 2]})
    tracking.hear(lines)
    tracking.end()
    assert calls.pop() == ("finish", None)
    assert calls[0][1]["project"] == "mine"
    assert calls[0][1].get("resume") == ("allow" if name == "wandb" else None)
    assert calls[0][1]["name"] == run.run_id
    assert [call[1] for call in calls[1:]] == [
        (4, {"trained/valid_loss": 2.0}),
        (8 + run.training.steps, {"fine_tuned/valid_loss": 1.5}),
    ]


def test_what_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.running.tracking.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"tensorboard is not installed: pip install 'adaptbench"):
        require_tracker("tensorboard")
    with pytest.raises(UserError, match="wandb is not installed: pip install wandb"):
        require_tracker("wandb")
