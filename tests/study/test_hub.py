"""Models and tokenisers of the hub are known, and loaded, by commit; no network is needed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from benchmark.core.errors import UserError
from benchmark.core.hub import name_and_commit, pinned
from benchmark.data import prepare
from benchmark.methods.registry import resolve
from benchmark.running.local import Settings, run_study
from benchmark.study.contents import require_contents
from benchmark.study.records import load_records
from benchmark.study.study import RunSpec, Study
from benchmark.training.start import initial_model
from tests.data.conftest import WORDS
from tests.models.test_foreign import GPT2, save_tokenizer, saved

NAME = "org/tiny"
OLD, NEW = "0" * 39 + "1", "0" * 39 + "2"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, out of reach of the hub itself; its folder of `NAME`."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "hub" / "models--org--tiny"


def fetch(hub: Path, commit: str, words: list[str]) -> None:
    """As the hub's libraries leave a commit that they were asked for by the name alone."""
    snapshot = hub / "snapshots" / commit
    if not snapshot.is_dir():
        saved(snapshot, GPT2 | {"bos_token_id": 0, "eos_token_id": 0}, vocabulary=len(words) + 2)
        save_tokenizer(snapshot, words, bos_token="<s>")
    (hub / "refs").mkdir(exist_ok=True)
    (hub / "refs" / "main").write_text(commit)


def study_of(content: dict[str, Any]) -> Study:
    data = content["data"] | {"tokenizer": NAME, "min_tokens": 4}
    methods = {"methods": ["pretraining"], "seeds": [0]}
    models = {"own": {"huggingface": NAME}}
    return Study.model_validate(content | {"data": data, "models": models} | methods)


def run_of(study: Study, cache: Path) -> RunSpec:
    return resolve(study, cache).runs()[0]


def words_of(corpus: tuple[Path, Path]) -> list[str]:
    text = "\n".join(file.read_text() for file in (*corpus[0].iterdir(), corpus[1]))
    return sorted(set(text.replace(".", " . ").split()))


def test_a_commit_is_the_identity(content: dict[str, Any], hub: Path, tmp_path: Path) -> None:
    fetch(hub, OLD, list(WORDS))
    old = run_of(study_of(content), tmp_path)
    assert old.model.files == old.data.tokenizer_files == f"commit:{OLD}"
    assert run_of(study_of(content), tmp_path).key == old.key
    fetch(hub, NEW, list(WORDS))
    assert run_of(study_of(content), tmp_path).key != old.key
    require_contents(old, tmp_path)  # what was planned is there still, and is what is loaded


def test_what_is_not_here_is_fetched_before_it_is_planned(
    content: dict[str, Any], hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, file: str) -> None:
        asked.append((name, file))
        fetch(hub, OLD, list(WORDS))

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    first, second = (run_of(study_of(content), tmp_path).key for _ in range(2))
    assert first == second
    assert asked == [(NAME, "config.json")]


@pytest.mark.parametrize("name", [NAME, "tiny", "a/b/c", "no name at all"])
def test_what_cannot_be_known_is_refused(
    content: dict[str, Any], hub: Path, tmp_path: Path, name: str
) -> None:
    del hub
    refused = rf"{name}' is no folder here, and of the hub .* cannot be fetched.*hf download"
    study = Study.model_validate(content | {"models": {"own": {"huggingface": name}}})
    with pytest.raises(UserError, match=rf"^models\.own\.huggingface: '{refused}") as error:
        run_of(study, tmp_path)
    assert "\n" not in str(error.value)
    data = content["data"] | {"tokenizer": name}
    study = Study.model_validate(content | {"data": data})
    with pytest.raises(UserError, match=rf"^data\.tokenizer: '{refused}"):
        run_of(study, tmp_path)


def test_why_the_hub_does_not_give_it_is_said(
    content: dict[str, Any], hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del hub

    def download(*_: str) -> None:
        raise OSError("401 Client Error.\n\nAccess to it is restricted")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(UserError, match=r"\(401 Client Error. Access to it is restricted\)"):
        run_of(study_of(content), tmp_path)


def test_rows_and_weights_are_those_of_the_planned_commit(
    content: dict[str, Any], corpus: tuple[Path, Path], hub: Path, tmp_path: Path
) -> None:
    words = words_of(corpus)
    fetch(hub, OLD, words)
    planned = run_of(study_of(content), tmp_path)
    # Another tokeniser and other sizes: rows of one do not fit a model of the other.
    fetch(hub, NEW, [*words[1:], "more", "words"])
    prepared = prepare(planned.data, planned.target, tmp_path)
    assert prepared.tokenizer == f"{NAME}@{OLD}"
    assert prepared.vocabulary_size == len(words) + 3
    model: Any = initial_model(planned, prepared)
    assert len(model.model.get_input_embeddings().weight) == len(words) + 2
    newer = run_of(study_of(content), tmp_path)
    other = prepare(newer.data, newer.target, tmp_path)
    assert other.tokenizer == f"{NAME}@{NEW}"
    assert other.folder != prepared.folder
    initial_model(newer, other)


def test_a_copy_of_a_tokeniser_of_the_hub_fits_its_checkpoint(
    content: dict[str, Any], corpus: tuple[Path, Path], hub: Path, tmp_path: Path
) -> None:
    fetch(hub, OLD, words_of(corpus))
    copy = shutil.copytree(hub / "snapshots" / OLD, tmp_path / "copy")
    study = study_of(content)
    data = study.data.model_copy(update={"tokenizer": str(copy)})
    planned = run_of(study.model_copy(update={"data": data}), tmp_path)
    initial_model(planned, prepare(planned.data, planned.target, tmp_path))


def test_a_pinned_name_is_taken_apart_as_it_was_put_together(tmp_path: Path) -> None:
    assert name_and_commit(pinned(NAME, f"commit:{OLD}")) == (NAME, OLD)
    assert name_and_commit(pinned(NAME, "")) == (NAME, "main")
    assert name_and_commit(pinned(NAME, "d1ge57")) == (NAME, "main")
    folder = tmp_path / f"mine@{OLD}"
    folder.mkdir()
    assert name_and_commit(str(folder)) == (str(folder), "main")


@pytest.mark.slow
def test_a_study_of_the_hub_runs(
    content: dict[str, Any],
    corpus: tuple[Path, Path],
    hub: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetch(hub, OLD, words_of(corpus))
    monkeypatch.setenv("HF_HUB_CACHE", str(hub.parent))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    settings = Settings(results=tmp_path / "results", cache=tmp_path / "cache")
    study = resolve(study_of(content), settings.cache)
    outcome = run_study(study, settings, lambda *_: None, lambda *_: None)
    assert (outcome.failed, outcome.died) == ({}, {})
    (record,) = {record.run_id: record for record in load_records(settings.results)}.values()
    assert record.spec.model.files == f"commit:{OLD}"
