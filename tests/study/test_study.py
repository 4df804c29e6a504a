"""What a study file may say, and the words in which it is told what it may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import UserError
from benchmark.methods.registry import check_methods
from benchmark.study.loading import embedded_studies, find_study, load_study
from benchmark.study.method_files import label_of_file
from tests.cli.test_bad_input import changed

WriteStudy = Callable[[dict[str, Any]], Path]
NAME = "a name is made of letters A to Z, digits, _, + and ., and does not begin with a dot"
SOURCE = "targets.harbour.source"
MODEL = "models.nano"
WORDS: dict[str, tuple[str, Any, str]] = {
    "text for a list": ("methods", "dds", "methods: must be a list: write [dds] (got 'dds')"),
    "number for a list": ("seeds", 3, "seeds: must be a list: write [3] (got 3)"),
    "mapping for a list": (
        SOURCE,
        {"dataset": "json", "data_files": {"train": "a.jsonl"}},
        f"{SOURCE}.data_files: must be a list (got a mapping with the keys train)",
    ),
    "number of files": (SOURCE, {"files": 3}, f"{SOURCE}.files: must be a list: write [3] (got 3)"),
    "no files": (SOURCE, {"files": []}, f"{SOURCE}.files: must have at least 1 item (got [])"),
    "unknown key of a source": (
        SOURCE,
        {"files": "a.txt", "text_feild": "b"},
        f"{SOURCE}.text_feild: unknown key 'text_feild' (did you mean 'text_field'?); valid: "
        "answer_field, domain_field, domains, files, text_field",
    ),
    "number for a text": (
        f"{MODEL}",
        {"huggingface": 3},
        f"{MODEL}.huggingface: must be a text: put it in quotes (got 3)",
    ),
    "text for a mapping": (
        MODEL,
        "mini",
        f"{MODEL}: must be a mapping with the keys preset, transformer, huggingface, "
        "huggingface_config",
    ),
    "mapping without keys": ("tuned", {"study": "a"}, "tuned.rule: is missing"),
    "number for a path": ("tuned", 3, "tuned: must be a text that names a file or folder (got 3)"),
    "true for a number": ("training.steps", True, "training.steps: must be a number (got true)"),
    "true for a seed": ("seeds", [True], "seeds.0: must be a number (got true)"),
    "true in a method": (
        "methods.0",
        {"method": "dds", "hyperparameters": {"look_ahead": True}},
        "methods.0: dds: hyperparameters.look_ahead: must be a number (got true)",
    ),
    "fraction": (
        "training.steps",
        1.5,
        "training.steps: must be a valid integer, without a fraction (got 1.5)",
    ),
    "number for true": (
        SOURCE,
        {"dataset": "json", "streaming": 3},
        f"{SOURCE}.streaming: must be true or false (got 3)",
    ),
    "seed twice": ("seeds", [0, 1, 0], "seeds: seed 0 is listed twice"),
    "study outside": ("study", "..", f"study: {NAME} (got '..')"),
    "study in a folder": ("study", "a/b", f"study: {NAME} (got 'a/b')"),
    "hidden label": ("methods.0", {"method": "dds", "label": ".x"}, f"methods.0.label: {NAME}"),
    "hidden model": ("models", {".x": {"preset": "mini"}}, f"models: {NAME} (got '.x')"),
    "target in a folder": ("targets", {"a/b": {}}, f"targets: {NAME} (got 'a/b')"),
}


@pytest.mark.parametrize("case", WORDS)
def test_problems_are_in_the_words_of_yaml(
    content: dict[str, Any], write_study: WriteStudy, case: str
) -> None:
    key, value, said = WORDS[case]
    file = write_study(content | {key: value} if "." not in key else changed(content, key, value))
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        check_methods(load_study(file), file)
    assert str(caught.value).startswith(str(file))
    assert not re.search(r"tuple|dict|None|True|Input|\bstr\b|\n", str(caught.value))


def test_a_key_given_twice_is_refused_with_its_lines(
    content: dict[str, Any], write_study: WriteStudy
) -> None:
    file = write_study(content)
    lines = file.read_text().count("\n")
    file.write_text(file.read_text() + "study: other\n")
    with pytest.raises(UserError, match=rf"line {lines + 1}: the key 'study' is there twice"):
        load_study(file)


def test_numbers_without_a_dot_are_numbers(
    content: dict[str, Any], write_study: WriteStudy
) -> None:
    file = write_study(content)
    file.write_text(file.read_text().replace("rate: 0.003", "rate: 3e-3"))
    assert load_study(file).training.rate == 0.003


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_name_with_two_meanings_is_refused(
    content: dict[str, Any],
    write_study: WriteStudy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("kjv", "generic"):
        (tmp_path / name).mkdir() if kind == "folder" else (tmp_path / name).touch()
    said = f"'kjv' is an embedded corpus and also a {kind} here: write {{embedded: kjv}} for the "
    with pytest.raises(UserError, match=re.escape(said)):
        load_study(write_study(changed(content, SOURCE, "kjv")))
    with pytest.raises(UserError, match="'generic' is an embedded mixture and also"):
        load_study(write_study(changed(content, "data.generic", "generic")))
    for source in ("./kjv", {"embedded": "kjv"}):
        load_study(write_study(changed(content, SOURCE, source)))
    for file in embedded_studies().values():
        load_study(file)


def test_an_embedded_study_is_found_beside_a_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mini").mkdir()
    assert find_study("mini") == embedded_studies()["mini"]
    (tmp_path / "planted").touch()
    with pytest.raises(UserError, match=r"write \./planted for the file"):
        find_study("planted")
    assert find_study("./planted") == Path("planted")


def test_a_hidden_file_of_a_method_has_a_label_that_is_seen() -> None:
    assert label_of_file("methods/.mine.py") == "_mine"
    assert label_of_file("methods/mine-2.py") == "mine_2"
