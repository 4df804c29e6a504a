"""What a study names by a path is known by its content, and by nothing else of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import UserError
from benchmark.methods.registry import resolve
from benchmark.study.contents import require_contents, require_same_contents, with_contents
from benchmark.study.records import run_folder, write_index
from benchmark.study.study import RunSpec, Study


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with the files of a checkpoint and of its tokeniser."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "README.md"):
        (folder / name).write_text(f"{name} as it was")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def study_of(content: dict[str, Any], model: Path | str, tokenizer: Path | str) -> Study:
    data = content["data"] | {"tokenizer": str(tokenizer)}
    models = {"own": {"huggingface": str(model)}, "nano": content["models"]["nano"]}
    return Study.model_validate(content | {"data": data, "models": models})


def runs_of(study: Study, cache: Path) -> dict[str, RunSpec]:
    found = resolve(study, cache).runs()
    return {run.model_name: run for run in found if run.method.label == "pretraining"}


@pytest.mark.parametrize(
    ("name", "own", "nano"),
    [
        ("model.safetensors", True, False),
        ("config.json", True, True),  # tells which tokeniser it is
        ("tokenizer.json", True, True),
        ("README.md", True, True),
    ],
)
def test_a_changed_file_changes_the_keys_that_depend_on_it(
    content: dict[str, Any], checkpoint: Path, tmp_path: Path, name: str, own: bool, nano: bool
) -> None:
    study = study_of(content, checkpoint, checkpoint)
    before = runs_of(study, tmp_path)
    (checkpoint / name).write_text("as it is")
    after = runs_of(study, tmp_path)
    assert (before["own"].key != after["own"].key) is own
    assert (before["nano"].key != after["nano"].key) is nano


def test_only_what_a_model_is_built_of_counts(
    content: dict[str, Any], checkpoint: Path, tmp_path: Path
) -> None:
    study = study_of(content, checkpoint, "bytes")
    before = runs_of(study, tmp_path)["own"].key
    for name in ("tokenizer.json", "README.md", "generation_config.json", ".hidden.json"):
        (checkpoint / name).write_text("as it is")
        assert runs_of(study, tmp_path)["own"].key == before
    (checkpoint / "model-2.safetensors").symlink_to(checkpoint / "model.safetensors")
    assert runs_of(study, tmp_path)["own"].key != before


def test_another_place_with_the_same_content_is_the_same_run(
    content: dict[str, Any], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = runs_of(study_of(content, checkpoint, checkpoint), tmp_path)["own"]
    copied = shutil.copytree(checkpoint, tmp_path / "other" / "place")
    linked = tmp_path / "link"
    linked.symlink_to(checkpoint)
    monkeypatch.chdir(tmp_path)
    for place in (copied, linked, "checkpoint", "./checkpoint/"):
        there = runs_of(study_of(content, place, place), tmp_path)["own"]
        assert (there.key, there.protocol) == (here.key, here.protocol)


def test_nothing_named_leaves_keys_as_they_are(content: dict[str, Any], tmp_path: Path) -> None:
    study = Study.model_validate(content)
    assert with_contents(study, tmp_path).model_dump() == study.model_dump()
    assert "tokenizer_files" not in study.data.model_dump()


def test_a_swapped_link_is_another_checkpoint(
    content: dict[str, Any], checkpoint: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(checkpoint, tmp_path / "other")
    (other / "model.safetensors").write_bytes(b"WEIGHTS")
    link = tmp_path / "link"
    keys = []
    for place in (checkpoint, other, checkpoint):
        link.unlink(missing_ok=True)
        link.symlink_to(place)
        keys.append(runs_of(study_of(content, link, "bytes"), tmp_path)["own"].key)
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize("place", ["/no/such", "./such", "../such"])
def test_a_missing_folder_is_not_taken_for_a_name_of_the_hub(
    content: dict[str, Any], checkpoint: Path, tmp_path: Path, place: str
) -> None:
    with pytest.raises(UserError, match=rf"models\.own\.huggingface: {place}: no such folder"):
        resolve(study_of(content, place, "bytes"), tmp_path)
    with pytest.raises(UserError, match=rf"data\.tokenizer: {place}: no such folder"):
        resolve(study_of(content, checkpoint, place), tmp_path)


@pytest.mark.parametrize(
    ("name", "said"), [("model.safetensors", r"models\.own"), ("tokenizer.json", r"data\.tokeni")]
)
def test_a_planned_run_does_not_start_from_other_files(
    content: dict[str, Any], checkpoint: Path, tmp_path: Path, name: str, said: str
) -> None:
    run = runs_of(study_of(content, checkpoint, checkpoint), tmp_path)["own"]
    again = RunSpec.model_validate_json(run.model_dump_json())
    assert again == run
    require_contents(again, tmp_path)
    (checkpoint / name).write_text("as it is")
    with pytest.raises(UserError, match=rf"{said}.* has changed since these runs were planned"):
        require_contents(again, tmp_path)


@pytest.mark.parametrize(
    ("name", "said"), [("model.safetensors", r"models\.own"), ("tokenizer.json", r"data\.tokeni")]
)
def test_results_of_a_changed_checkpoint_do_not_mix_with_old_ones(
    content: dict[str, Any], checkpoint: Path, tmp_path: Path, name: str, said: str
) -> None:
    results = tmp_path / "results"
    study = study_of(content, checkpoint, checkpoint)
    before = resolve(study, tmp_path)
    require_same_contents(before, results)
    write_index(results, before)
    (checkpoint / name).write_text("as it is")
    after = resolve(study, tmp_path)
    require_same_contents(after, results)  # nothing has been run yet
    record = run_folder(results, before.runs()[0].run_id) / "record.json"
    record.parent.mkdir(parents=True)
    record.touch()
    require_same_contents(before, results)
    with pytest.raises(UserError, match=rf"{said}.* have changed since runs were made here: ren"):
        require_same_contents(after, results)
