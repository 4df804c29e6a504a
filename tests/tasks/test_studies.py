"""Studies of pairs and of images from their file to their tables, and those that come along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.core.tasks import find_task
from benchmark.data.catalogue import load_catalogue
from benchmark.data.member_readers import MEMBER_READERS
from benchmark.methods.registry import check_methods
from benchmark.report.results.inputs import load_results
from benchmark.study.loading import embedded_studies, load_study

SCORES = {"images": {"accuracy"}, "translation": {"bleu", "chrf"}}
UNITS = {"images": "nats/image", "translation": "nats/byte"}


def study_of(task: str, folder: Path) -> dict[str, Any]:
    settings = {
        "dds": {"network": {"embedding": 8, "hidden": 8, "span": 3}, "look_ahead": 0.0},
        "retrieval": {"components": 8, "keep": 0.5, "ngrams": {"buckets": 4096}},
    }
    methods = [
        {"method": name, "hyperparameters": settings.get(name, {})}
        for name in ("pretraining", "mixing", "dds", "retrieval")
    ]
    return {
        "study": task,
        **find_task(task).small_problem(folder / "files"),
        "methods": methods,
        "seeds": [0, 1],
        "training": {"steps": 6, "batch": 8, "big_batch": 32, "warmup": 2, "evaluate_every": 3},
        "fine_tuning": {"steps": 4, "evaluate_every": 2},
    }


@pytest.mark.long
@pytest.mark.parametrize("task", list(SCORES))
def test_a_study_runs_to_its_tables(task: str, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study_of(task, tmp_path)))
    places = ["--cache", str(tmp_path / "cache"), "--results", str(tmp_path / "results")]
    shown = CliRunner().invoke(app, ["data", "show", str(file), *places[:2]])
    assert shown.exit_code == 0, shown.output
    assert "target_test" in shown.output
    run = CliRunner().invoke(app, ["run", str(file), "--no-report", *places])
    assert run.exit_code == 0, run.output
    results = load_results(tmp_path / "results" / task)
    assert {record.status for record in results.records} == {"done"}
    assert len(results.records) == 8
    for record in results.records:
        for stage in record.stages:
            assert stage.scores.keys() == SCORES[task]
    assert results.loss_unit == UNITS[task]
    # Same start, same data: one hash a seed, and one fingerprint.
    starts = {(record.spec.seed, record.initial_weights) for record in results.records}
    assert len(starts) == 2
    assert len({record.data["fingerprint"] for record in results.records}) == 1
    table = CliRunner().invoke(app, ["table", str(tmp_path / "results" / task)])
    assert table.exit_code == 0, table.output
    for name in SCORES[task]:
        assert f"Test {name} at equal steps" in table.output
    assert f"Test loss ({UNITS[task]}) at equal steps" in table.output


def test_records_of_text_have_no_scores() -> None:
    folder = Path(__file__).parents[2] / "results" / "published" / "mini" / "runs"
    record = json.loads(next(folder.glob("*/record.json")).read_text())
    assert all("scores" not in stage for stage in record["stages"])
    assert not {"task", "options"} & record["spec"]["data"].keys()
    assert "network" not in record["spec"]["model"]


@pytest.mark.parametrize("name", [n for n in embedded_studies() if n.split("_")[-1] in SCORES])
def test_studies_that_come_along_are_valid(name: str) -> None:
    study = load_study(embedded_studies()[name])
    check_methods(study)
    assert study.data.task == name.split("_")[-1]
    development = name.startswith("development")
    assert len(study.seeds) == (1 if development else 3)
    planted = [part for part in study.data.generic.mixture if part == "planted"]  # type: ignore[union-attr]
    assert bool(planted) == (development or name.startswith("planted"))


def test_corpora_have_readers_of_their_task() -> None:
    for name, corpus in load_catalogue().corpora.items():
        readers = find_task(corpus.task).rows.readers.embedded
        assert corpus.reader in (MEMBER_READERS if corpus.members else readers), name
        assert corpus.licence
