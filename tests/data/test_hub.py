"""Data sets through ``datasets.load_dataset``, on local files so that no network is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.data import DataConfig, build_rows, parse_source
from benchmark.data.sources import read_source, source_fingerprint
from benchmark.data.text import Tally
from tests.data.conftest import WriteJsonl, sentences


@pytest.fixture(autouse=True)
def _own_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")


@pytest.mark.parametrize("streaming", [True, False])
def test_a_local_data_set(streaming: bool, cache: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("a.jsonl", ["one", "two\nlines", "", "four"])
    source = {"dataset": "json", "data_files": [str(path)], "streaming": streaming}
    documents = list(read_source(parse_source(source), cache))
    assert [document.text for document in documents] == ["one", "two lines", "four"]
    assert {document.domain for document in documents} == {"json"}
    first = list(read_source(parse_source(source | {"max_documents": 1}), cache))
    assert [document.text for document in first] == ["one"]


def test_streamed_and_local_files_give_the_same_rows(cache: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("corpus/train.jsonl", sentences(50))
    settings = DataConfig(width=32)
    local = build_rows(parse_source(path), settings, cache)
    hub = build_rows(parse_source({"dataset": str(path.parent)}), settings, cache)
    assert (local.tokens == hub.tokens).all()


def test_a_changed_local_data_set_is_built_anew(cache: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("corpus/train.jsonl", ["one"])
    source = parse_source({"dataset": str(path.parent)})
    before = source_fingerprint(source, cache)
    write_jsonl("corpus/train.jsonl", ["two"])
    assert source_fingerprint(source, cache) != before


@pytest.mark.parametrize("streaming", [True, False])
def test_a_data_set_that_cannot_be_loaded(streaming: bool, tmp_path: Path, cache: Path) -> None:
    missing = str(tmp_path / "gone.jsonl")
    source = {"dataset": "json", "data_files": [missing], "streaming": streaming}
    with pytest.raises(UserError, match=r"dataset: 'json' .*cannot be loaded") as caught:
        list(read_source(parse_source(source), cache))
    assert "\n" not in str(caught.value)


def test_an_unknown_split_is_named(cache: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("a.jsonl", ["one"])
    source = {"dataset": "json", "data_files": [str(path)], "split": "tset"}
    with pytest.raises(UserError, match="split 'tset'"):
        list(read_source(parse_source(source), cache))


def test_a_wrong_text_field_names_the_fields_there(cache: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("a.jsonl", ["one"])
    source = {"dataset": "json", "data_files": [str(path)], "text_field": "body"}
    with pytest.raises(UserError, match="text_field: no field 'body'; valid here: text"):
        list(read_source(parse_source(source), cache))


OTHERS = {
    "null": {"url": None},
    "text": {"url": "x"},
    "list": {"url": ["x"], "more": 1},
    "none": {},
}


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("folder", [True, False])
def test_columns_that_nobody_asks_for_may_differ_between_files(
    streaming: bool, folder: bool, cache: Path, write_jsonl: WriteJsonl
) -> None:
    files = [
        write_jsonl(f"corpus/{name}.jsonl", [{"text": f"{name} {i}"} | other for i in range(3)])
        for name, other in sorted(OTHERS.items())
    ]
    named = {"dataset": "json", "data_files": [str(file) for file in files]}
    source = {"dataset": str(files[0].parent)} if folder else named
    tally = Tally()
    read = read_source(parse_source(source | {"streaming": streaming}), cache, tally=tally)
    expected = [f"{name} {i}" for name in sorted(OTHERS) for i in range(3)]
    assert [document.text for document in read] == expected
    assert tally.notes() == ("columns not read: more, url",)


@pytest.mark.parametrize("streaming", [True, False])
def test_the_first_cause_is_in_the_message(
    streaming: bool, cache: Path, write_jsonl: WriteJsonl
) -> None:
    """The columns that its author says are another's than those of the one file."""
    folder = write_jsonl("corpus/a.jsonl", [{"text": "secret", "url": "x"}]).parent
    (folder / "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - {name: text, dtype: string}\n  splits:\n"
        "  - {name: train, num_bytes: 1, num_examples: 1}\n---\n"
    )
    source = {"dataset": str(folder), "streaming": streaming}
    with pytest.raises(UserError, match=r"[Cc]ouldn't cast.*; `files:`") as caught:
        list(read_source(parse_source(source), cache))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("splits", [None, ("train", "test")])
def test_a_data_set_that_was_saved_to_disk(
    splits: tuple[str, ...] | None, tmp_path: Path, cache: Path
) -> None:
    import datasets

    folder = tmp_path / "saved"
    names = splits or ("train",)
    sets = {n: datasets.Dataset.from_dict({"text": [n, "more"], "other": [1, 2]}) for n in names}
    (datasets.DatasetDict(sets) if splits else sets["train"]).save_to_disk(folder)
    tally = Tally()
    by_name = read_source(parse_source({"dataset": str(folder)}), cache, tally=tally)
    assert [document.text for document in by_name] == ["train", "more"]
    assert tally.notes() == ("columns not read: other",)
    with pytest.raises(UserError, match=rf"no split 'dev'; valid: {', '.join(sorted(names))}"):
        list(read_source(parse_source({"dataset": str(folder), "split": "dev"}), cache))
    by_files = read_source(parse_source(folder), cache)
    expected = ["test", "more", "train", "more"] if splits else ["train", "more"]
    assert [document.text for document in by_files] == expected


def test_arrow_files_that_are_no_part_of_a_saved_data_set(tmp_path: Path, cache: Path) -> None:
    import datasets

    folder = tmp_path / "saved"
    datasets.Dataset.from_dict({"text": ["one"]}).save_to_disk(folder)
    (data,) = folder.glob("data-*.arrow")
    (folder / "cache-0123.arrow").write_bytes(data.read_bytes())
    documents = read_source(parse_source(folder), cache)
    assert [document.text for document in documents] == ["one"]


def test_files_behind_patterns_and_links_are_part_of_the_identity(
    cache: Path, write_jsonl: WriteJsonl, tmp_path: Path
) -> None:
    folder = write_jsonl("real/inner/a.jsonl", ["one"]).parent
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "link").symlink_to(folder)
    (folder / "circle").symlink_to(tmp_path / "corpus")
    sources = [
        parse_source({"dataset": "json", "data_files": [f"{folder}/*.jsonl"]}),
        parse_source({"dataset": "json", "data_files": [f"{tmp_path}/real/**/a.jsonl"]}),
        parse_source({"dataset": str(tmp_path / "corpus")}),
    ]
    before = [source_fingerprint(source, cache) for source in sources]
    write_jsonl("real/inner/a.jsonl", ["two"])
    assert all(source_fingerprint(s, cache) != b for s, b in zip(sources, before, strict=True))
