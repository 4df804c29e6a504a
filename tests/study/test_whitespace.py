"""White space: kept where a study file says nothing, collapsed where a record says nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.core.errors import UserError
from benchmark.study.loading import embedded_studies, load_study
from benchmark.study.records import StudyIndex, read_index, write_index
from benchmark.study.study import Study
from tests.conftest import study_content


@pytest.fixture
def content(corpus: tuple[Path, Path]) -> dict[str, Any]:
    made = study_content(*corpus)
    del made["data"]["whitespace"]
    return made


def study_of(content: dict[str, Any], folder: Path, **data: str) -> Study:
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(content | {"data": content["data"] | data}))
    return load_study(file)


def test_a_study_file_that_says_nothing_keeps_white_space(
    content: dict[str, Any], tmp_path: Path
) -> None:
    assert study_of(content, tmp_path).data.whitespace == "keep"
    assert study_of(content, tmp_path, whitespace="collapse").data.whitespace == "collapse"
    with pytest.raises(UserError, match=r"data\.whitespace: .*'collapse' or 'keep'"):
        study_of(content, tmp_path, whitespace="strip")


def test_keys_from_before_there_was_a_choice_are_those_of_collapse(
    content: dict[str, Any], tmp_path: Path
) -> None:
    before = [run.key for run in Study.model_validate(content).runs()]
    collapsed = study_of(content, tmp_path, whitespace="collapse")
    assert [run.key for run in collapsed.runs()] == before
    assert "whitespace" not in collapsed.model_dump_json()
    kept = study_of(content, tmp_path)
    assert not {run.key for run in kept.runs()} & set(before)
    assert Study.model_validate(json.loads(kept.model_dump_json())) == kept


def test_embedded_studies_mean_what_they_always_meant() -> None:
    for file in embedded_studies().values():
        assert load_study(file).data.whitespace == "collapse"


def test_finished_runs_are_not_left_behind_without_a_word(
    content: dict[str, Any], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    index = StudyIndex(study=Study.model_validate(content), runs=())
    (results / "study.json").write_text(index.model_dump_json())
    with pytest.raises(UserError, match="write `whitespace: collapse` under `data:` to go on"):
        write_index(results, study_of(content, tmp_path))
    same = study_of(content, tmp_path, whitespace="collapse")
    write_index(results, same)
    assert read_index(results).study == same
