"""What a study file asks for by saying nothing, where a record that says nothing means another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.core.errors import UserError
from benchmark.data.config import UNSAID
from benchmark.study.loading import embedded_studies, load_study
from benchmark.study.records import StudyIndex, read_index, write_index
from benchmark.study.study import Study
from tests.conftest import study_content

BEFORE = {"whitespace": "collapse", "near_duplicates": "keep"}
CHOICES = [(key, unsaid, BEFORE[key]) for key, unsaid in UNSAID.items()]


@pytest.fixture
def content(corpus: tuple[Path, Path]) -> dict[str, Any]:
    made = study_content(*corpus)
    for key in UNSAID:
        del made["data"][key]
    return made


def study_of(content: dict[str, Any], folder: Path, **data: str) -> Study:
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(content | {"data": content["data"] | data}))
    return load_study(file)


@pytest.mark.parametrize(("key", "unsaid", "before"), CHOICES)
def test_a_study_file_that_says_nothing(
    content: dict[str, Any], tmp_path: Path, key: str, unsaid: str, before: str
) -> None:
    assert getattr(study_of(content, tmp_path).data, key) == unsaid
    assert getattr(study_of(content, tmp_path, **{key: before}).data, key) == before
    with pytest.raises(UserError, match=rf"data\.{key}: .*'(collapse|remove)' or 'keep'"):
        study_of(content, tmp_path, **{key: "strip"})


@pytest.mark.parametrize(("key", "unsaid"), UNSAID.items())
def test_keys_from_before_there_was_a_choice(
    content: dict[str, Any], tmp_path: Path, key: str, unsaid: str
) -> None:
    old = [run.key for run in Study.model_validate(content).runs()]
    said = study_of(content, tmp_path, **BEFORE)
    assert [run.key for run in said.runs()] == old
    assert key not in said.model_dump_json()
    other = study_of(content, tmp_path, **BEFORE | {key: unsaid})
    assert not {run.key for run in other.runs()} & set(old)
    assert Study.model_validate(json.loads(other.model_dump_json())) == other


def test_the_first_study_means_what_it_always_meant() -> None:
    data = load_study(embedded_studies()["diagnosis"]).data
    assert {key: getattr(data, key) for key in UNSAID} == BEFORE


def test_finished_runs_are_not_left_behind_without_a_word(
    content: dict[str, Any], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    index = StudyIndex(study=Study.model_validate(content), runs=())
    (results / "study.json").write_text(index.model_dump_json())
    both = "write `whitespace: collapse` and `near_duplicates: keep` under `data:` to go on"
    with pytest.raises(UserError, match=both):
        write_index(results, study_of(content, tmp_path))
    with pytest.raises(UserError, match="write `near_duplicates: keep` under `data:` to go on"):
        write_index(results, study_of(content, tmp_path, whitespace="collapse"))
    same = study_of(content, tmp_path, **BEFORE)
    write_index(results, same)
    assert read_index(results).study == same
