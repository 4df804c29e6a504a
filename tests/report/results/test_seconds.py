"""Seconds of training from step times, where a study has them of all that it was run with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.report.results.inputs import load_results
from benchmark.report.results.numbers import load_numbers
from benchmark.report.tables.write import markdown_table
from benchmark.study.records import read_index
from benchmark.study.step_times import FILE, write_times
from tests.running.test_estimates import method_times, study_times

Build = Callable[..., Path]


def timed(results: Path, *labels: str) -> Path:
    """The folder, with step times of these methods: 1 s a step, 3 s for those of dds."""
    runs = [run for run in read_index(results).study.runs() if run.method.label in labels]
    times = study_times(runs)
    methods = tuple(
        method_times(
            run, course=[[0, 7.0], [400, 7.0 + 400 * (3 if run.method.label == "dds" else 1)]]
        )
        for run in runs
        if run.target_name == "awsdocs"
    )
    write_times(results, times.model_copy(update={"methods": methods}))
    return results


def test_equal_seconds_are_those_of_step_times(build: Build) -> None:
    results = build(methods=("pretraining", "dds"))
    billed = load_results(results)
    found = load_results(timed(results, "pretraining", "dds"))
    assert found.times is not None
    trained = found.metrics[found.metrics["stage"] == "trained"]
    assert sorted(set(trained.loc[trained["method"] == "dds", "seconds"]))[:2] == [7.0, 157.0]
    # What fine-tuning took besides is its bill's.
    for run in (billed, found):
        stages = run.stages.set_index(["target", "method", "stage"])["seconds"]
        spent = stages["awsdocs", "dds", "fine_tuned"] - stages["awsdocs", "dds", "trained"]
        assert spent == pytest.approx(100 * (4.2e10 / 1e12 + 0.01))
    rows = load_numbers(results).summary.set_index(["target", "method", "stage"])
    row = rows.loc[("awsdocs", "dds", "trained")]
    assert row["seconds_per_step_ratio"] == pytest.approx(1207 / 407)
    # Pretraining takes 407 s, and dds has 100 steps done after 307.
    assert row["equal_seconds_last_step"] == 100


def test_tables_say_where_their_seconds_are_from(build: Build) -> None:
    results = build(methods=("pretraining", "dds"))
    assert "No step times are on file" in markdown_table(load_numbers(results))
    part = markdown_table(load_numbers(timed(results, "pretraining")))
    assert "step times are not used: they have none of dds as it was run" in part
    text = markdown_table(load_numbers(timed(results, "pretraining", "dds")))
    assert "step times measured apart" in text
    assert "wall time" not in text


def test_a_bad_file_of_step_times_is_refused_with_its_name(build: Build) -> None:
    results = build(methods=("pretraining",))
    (results / FILE).write_text('{"schema_version": 2}', encoding="utf-8")
    with pytest.raises(UserError, match=r"step_times\.json") as caught:
        load_results(results)
    assert "\n" not in str(caught.value)
