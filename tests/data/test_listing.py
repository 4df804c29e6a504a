"""Which files of a folder are read, which are left out and named, and what domain each gives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.data import build_rows, parse_source, prepare
from benchmark.data.config import DataConfig, TargetConfig
from benchmark.data.listing import MOST_NAMES, list_files
from benchmark.data.show import left_out_lines
from benchmark.data.sources import read_source, source_fingerprint
from tests.data.conftest import WriteJsonl, sentences


def texts(source: object, cache: Path) -> list[str]:
    return [document.text for document in read_source(parse_source(source), cache)]


def domains(names: list[str], folder: Path) -> list[str]:
    for name in names:
        (folder / name).write_bytes(b"")
    return [file.domain for file in list_files((folder,)).files]


SPARK = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
HUB = "9e107d9d372bb682"


@pytest.mark.parametrize(
    ("names", "domain"),
    [
        (["part-00000-of-00002.jsonl", "part-00001-of-00002.jsonl"], "part"),
        (["c4-train.00000.jsonl", "c4-train.00001.jsonl.gz"], "c4-train"),
        ([f"part-0000{i}-{SPARK}-c000.snappy.parquet" for i in "01"], "part"),
        ([f"part-0000{i}-tid-77{i}-{SPARK}-{i}-1-c000.json" for i in "01"], "part"),
        ([f"train-0000{i}-of-00002-{HUB}.parquet" for i in "01"], "train"),
        (["0000.parquet", "0001.parquet"], "folder"),
        (["law_1_of_2.TXT", "law_2_of_2.txt"], "law"),
        (["wiki-2019-00.jsonl"], "wiki-2019"),
        (["deadbeef.jsonl"], "deadbeef"),
    ],
)
def test_shards_of_one_data_set_are_one_domain(
    names: list[str], domain: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert domains(names, folder) == [domain] * len(names)


def test_files_of_very_many_names_are_one_domain(tmp_path: Path) -> None:
    names = [f"{i:04}x.txt" for i in range(MOST_NAMES + 1)]
    assert set(domains(names[1:], tmp_path)) == {name[:-4] for name in names[1:]}
    assert set(domains(names[:1], tmp_path)) == {tmp_path.name}
    (note,) = list_files((tmp_path,)).notes()
    assert f"one domain, {tmp_path.name!r}: the {MOST_NAMES + 1} files" in note


def test_links_are_followed_once(tmp_path: Path, cache: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("g/a.jsonl", ["own"])
    write_jsonl("elsewhere/b.jsonl", ["linked"])
    folder = tmp_path / "g"
    (folder / "aa").symlink_to("../elsewhere")
    (folder / "again").symlink_to(".")
    (folder / "gone.jsonl").symlink_to("nowhere")
    (folder / "itself.jsonl").symlink_to("itself.jsonl")
    (tmp_path / "elsewhere" / "back").symlink_to("../g")
    assert texts(folder, cache) == ["own", "linked"]
    left_out = list_files((folder,)).left_out
    nowhere = [f"{folder}/gone.jsonl", f"{folder}/itself.jsonl"]
    assert left_out["link that leads nowhere"] == nowhere
    with pytest.raises(UserError, match=r"gone\.jsonl: no such .* \(a link that leads nowhere\)"):
        list_files((folder / "gone.jsonl",))
    twice = {f"{folder}/again", f"{folder}/aa/back"}
    assert set(left_out["link to a folder that is read already"]) == twice


def test_what_is_left_out_is_counted_and_named(
    tmp_path: Path, cache: Path, write_jsonl: WriteJsonl
) -> None:
    records: list[dict[str, object]] = [{"text": text, "url": "u"} for text in sentences(90)]
    write_jsonl("g/a.jsonl", [*records, "", "tiny", "two\nlines of text that are long enough"])
    for name in ("README.md", "b.csv", "c.csv", "d.csv", ".hidden.jsonl", "dataset_info.json"):
        (tmp_path / "g" / name).write_text("{}")
    os.mkfifo(tmp_path / "g" / "pipe.jsonl")
    target = write_jsonl("target.jsonl", sentences(90, seed=1))
    data = DataConfig(generic=parse_source(tmp_path / "g"), width=32, generic_valid=9)
    sample = TargetConfig(source=parse_source(target), train=9, valid=9, test=9)
    prepared = prepare(data, sample, cache)
    g = tmp_path / "g"
    assert left_out_lines(prepared) == [
        f"generic: not read, hidden: {g}/.hidden.jsonl",
        f"generic: not read, other ending: {g}/README.md, {g}/b.csv, {g}/c.csv and 1 more",
        f"generic: not read, metadata of a data set: {g}/dataset_info.json",
        f"generic: not read, not a regular file: {g}/pipe.jsonl",
        "generic: documents under min_tokens 16 left out: 1",
        "generic: documents without their line breaks and indentation "
        "(data.whitespace: keep keeps them): 1",
        "generic: empty documents left out: 1",
        "generic: columns not read: url",
    ]
    assert prepared.summary()["left_out"]["target"] == []
    # The rows are the same, so nothing is built; what is said is up to date all the same.
    (g / "d.csv").unlink()
    again = prepare(data, sample, cache)
    assert again.folder == prepared.folder
    assert again.fingerprint == prepared.fingerprint
    assert f"generic: not read, other ending: {g}/README.md, {g}/b.csv, {g}/c.csv" in (
        left_out_lines(again)
    )


def test_reports_from_before_there_were_notes_are_read(
    cache: Path, write_jsonl: WriteJsonl
) -> None:
    source = parse_source(write_jsonl("a.jsonl", sentences(9)))
    settings = DataConfig(width=32)
    folder = build_rows(source, settings, cache).folder
    meta = folder / "meta.json"
    meta.write_text(meta.read_text().replace(',\n "notes":[]', "").replace(',\n "notes": []', ""))
    assert "notes" not in meta.read_text()
    assert build_rows(source, settings, cache).meta.notes == ()


def test_an_upper_case_ending_is_read(tmp_path: Path, cache: Path, write_jsonl: WriteJsonl) -> None:
    write_jsonl("g/a.JSONL", ["one"])
    (tmp_path / "g" / "b.Txt").write_text("two")
    assert texts(tmp_path / "g", cache) == ["one", "two"]


def test_a_file_name_that_is_not_utf8(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "g"
    folder.mkdir()
    lines = "\n".join(f'{{"text": "{text}"}}' for text in sentences(30))
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jsonl")).write_text(lines)
    store = build_rows(parse_source(folder), DataConfig(width=32), cache)
    assert store.meta.domain_names == (r"caf\xe9",)
    assert len(source_fingerprint(parse_source(folder), cache)) == 64
    one = next(folder.iterdir())
    one.write_text("{]\n")
    with pytest.raises(UserError, match=r"caf\\xe9\.jsonl: line 1: not valid JSON"):
        texts(folder, cache)


def test_a_folder_without_a_file_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b")
    with pytest.raises(UserError, match=r"no file in .* not read, other ending: .*table\.csv"):
        list_files((tmp_path,))


def test_a_pipe_is_refused_before_it_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(UserError, match=r"pipe\.jsonl: not a regular file"):
        list_files((tmp_path / "pipe.jsonl",))
