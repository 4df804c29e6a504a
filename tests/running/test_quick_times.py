"""Steps timed for a plan: within one time for all, the cheapest first, one line for the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.data import PreparedData
from benchmark.data.config import DataConfig, TargetConfig
from benchmark.data.source import NoiseSource
from benchmark.methods.registry import resolve
from benchmark.running import planning
from benchmark.running.estimate import Estimates
from benchmark.running.planning import estimate_all
from benchmark.running.times import made_up, quick
from benchmark.running.times.made_up import on_made_up_rows
from benchmark.running.times.measure import Bench
from benchmark.running.times.phases import recurring
from benchmark.running.times.process import NotTimedError, StepperProcess, TooSlowError
from benchmark.running.times.quick import SECONDS, Quick, measure_quickly
from benchmark.running.times.summary import phases_of
from benchmark.running.worker import Job
from benchmark.study.step_times import step_key
from benchmark.study.study import RunSpec, Study
from tests.running.test_estimates import method_times

SLEEPS = """
import time

from benchmark.api import Baseline, Batch


class Sleeps(Baseline):
    name = "sleeps"
    summary = "Prepares for ever."

    def prepare(self) -> None:
        time.sleep(1000)

    def batch(self, step: int) -> Batch:
        return self.task.generic_batch(step)
"""


def runs(*methods: str | dict[str, Any]) -> list[RunSpec]:
    content = {
        "study": "quick",
        "data": {"width": 48},
        "models": {"mini": {"preset": "mini"}},
        "targets": {"harbour": {"source": "kjv"}},
        "methods": list(methods),
        "training": {"steps": 100},
        "fine_tuning": {"steps": 10},
    }
    return resolve(Study.model_validate(content)).runs()


class Machine:
    """A clock, and processes whose preparation takes as long as ``begins`` says of a label."""

    def __init__(self, begins: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.begins, self.now, self.order = begins, 0.0, list[str]()
        monkeypatch.setattr(quick, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(quick, "StepperProcess", lambda job, _: self.take(job) or self)
        monkeypatch.setattr(quick, "method_times", lambda run, *_: method_times(run))
        monkeypatch.setattr(
            quick, "jobs_of", lambda runs, *_: [SimpleNamespace(spec=run) for run in runs]
        )

    def take(self, job: Any) -> None:
        self.label = job.spec.method.label
        step = {"seconds": 1.0, "parts": {}, "flops": 1.0}
        self.turn = {phase: [step] for phase in recurring(phases_of(job.spec))}

    def begin(self) -> None:
        self.now += 6.0

    def close(self) -> None:
        self.label = ""

    def call(self, what: str, within: float, **_: Any) -> Any:
        seconds = 0.1
        if what == "begin":
            self.order.append(self.label)
            seconds = self.begins.get(self.label, 0.5)
        self.now += min(seconds, within)
        if seconds > within:
            raise TooSlowError(self.label, "too slow")
        overheads = method_times(runs("pretraining")[0]).overheads.model_dump()
        evaluations = {name: overheads[name] for name in ("evaluation_seconds", "test_seconds")}
        saving = {name: overheads[name] for name in overheads if name.startswith(("ch", "we"))}
        return {"evaluations": evaluations, "saving": saving, "turn": self.turn}.get(what, {})


def measured(runs: list[RunSpec]) -> Quick:
    return measure_quickly(runs, Bench(Path("cache")), lambda *_: None, lambda *_: None)


def test_all_methods_together_take_one_time_and_the_cheapest_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = dict.fromkeys(("dsir", "less", "crisp", "regmix", "retrieval", "doge"), 1000.0)
    machine = Machine(slow, monkeypatch)
    variant = {"method": "dds", "label": "dds_every_4", "hyperparameters": {"update_every": 4}}
    found = measured(runs(*slow, "pretraining", "dds", variant, "soba"))
    assert machine.now <= 6.0 + SECONDS + 1e-6
    assert machine.order[:4] == ["pretraining", "dds", "soba", "dds_every_4"]
    assert len(found.times) == 4
    assert sorted(found.too_slow) == sorted(slow)


def test_who_cannot_be_timed_within_it_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = [
        "pretraining",
        "dsir",
        "less",
        {"method": "dds", "label": "fast"},
        {"method": "dds", "label": "slow", "hyperparameters": {"update_every": 2}},
    ]
    Machine({"dsir": 1000.0, "less": 1000.0, "slow": 1000.0}, monkeypatch)
    planned = runs(*entries)
    found, notes = estimate_all(
        planned, Estimates(), Bench(Path("cache")), lambda *_: None, lambda *_: None
    )
    told = {run.method.label: found[run.run_id].source for run in planned if run.run_id in found}
    assert told == {
        "pretraining": "steps timed just now",
        "fast": "steps timed just now",
        "slow": "steps of fast timed just now",
    }
    assert notes == [
        f"not timed within {SECONDS:.0f} s: dsir, less; `adaptbench time` takes the time that "
        "they need"
    ]


def test_rows_that_take_long_to_build_are_stood_in_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "text.txt"
    file.write_text("a few words\n" * 100, encoding="utf-8")
    (own,) = runs("pretraining")
    generic, missing = {"dataset": "allenai/c4", "name": "en"}, str(tmp_path / "none.txt")
    for source, large, stands in (
        (generic, False, True),
        ({"mixture": {"web": {"source": generic, "megabytes": 1}}}, False, True),
        ({"files": str(file)}, False, False),
        ({"files": str(file)}, True, True),
        ("kjv", True, False),
    ):
        monkeypatch.setattr(made_up, "MOST_BYTES", 10 if large else 1 << 30)
        data = DataConfig.model_validate({"width": 48, "generic": source})
        other = on_made_up_rows(own.model_copy(update={"data": data}))
        assert (other is not None) == stands, source
        if other is not None:
            assert isinstance(other.data.generic, NoiseSource)
            assert other.data.generic.documents >= own.training.big_batch
            assert step_key(other) == step_key(own)
    target = TargetConfig.model_validate({"source": {"files": missing}, "train": 9})
    assert on_made_up_rows(own.model_copy(update={"target": target})) is not None


def test_what_is_prepared_on_made_up_rows_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine({}, monkeypatch)
    hub = DataConfig.model_validate({"width": 48, "generic": {"dataset": "allenai/c4"}})
    planned = [run.model_copy(update={"data": hub}) for run in runs("dsir", "pretraining", "dds")]
    found, notes = estimate_all(
        planned, Estimates(), Bench(Path("cache")), lambda *_: None, lambda *_: None
    )
    assert [run.method.label for run in planned if run.run_id in found] == ["pretraining", "dds"]
    assert notes == [
        f"dsir: {quick.UNLIKE}",
        "targets harbour: steps were timed on made-up rows, as sources are a hub's, are not there "
        "or have over 1 GB",
    ]


def test_methods_that_fail_alike_share_a_line_and_if_all_do_there_is_no_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Quick()
    found.failed["cannot be timed: no"] += ["dds", "soba"]
    assert planning._notes(found, []) == ["dds, soba: cannot be timed: no"]

    def fails(self: Machine, *_: Any, **__: Any) -> Any:
        raise NotTimedError(self.label, "cannot be timed: no")

    monkeypatch.setattr(Machine, "call", fails)
    Machine({}, monkeypatch)
    with pytest.raises(NotTimedError, match="pretraining, dds: cannot be timed: no"):
        measured(runs("pretraining", "dds"))


def test_a_process_goes_on_with_another_job_whatever_the_last_one_does(
    spec: Callable[..., RunSpec], data: PreparedData, tmp_path: Path
) -> None:
    file = tmp_path / "sleeps.py"
    file.write_text(SLEEPS, encoding="utf-8")
    sleeps, plain = (
        Job(
            spec=spec(method, steps=9),
            prepared=data.folder,
            results=tmp_path,
            cache=tmp_path,
            device="cpu",
            threads=1,
        )
        for method in (str(file), "pretraining")
    )
    process = StepperProcess(sleeps, tmp_path / "log")
    try:
        process.begin()
        process.call("load")
        with pytest.raises(TooSlowError, match="takes longer than 0 s"):
            process.call("begin", within=0.2)
        process.take(plain)
        process.call("load")
        assert process.call("begin").keys() == {"preparation"}
        with pytest.raises(TooSlowError):
            process.call("turn", within=0.0, number=0, steps=1)
        # What was asked of a process that was killed is not taken for a job.
        process.take(plain)
        process.call("load")
        assert process.call("saving")["weights_bytes"] > 0
        with pytest.raises(NotTimedError, match="cannot be timed: AttributeError"):
            process.call("no_such_thing")
    finally:
        process.close()
