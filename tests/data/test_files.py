"""Local files in every supported layout, and files that cannot be used."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.core.errors import UserError
from benchmark.data.lines import LONGEST_PARAGRAPH_BYTES
from benchmark.data.source import parse_source
from benchmark.data.sources import read_source, source_fingerprint
from benchmark.data.text import Document
from tests.data.conftest import WriteJsonl

TEXTS = ["first text", "second\ntext", "third \0 text"]
CLEAN = ["first text", "second text", "third text"]


def read(source: object, cache: Path) -> list[Document]:
    return list(read_source(parse_source(source), cache))


def texts(documents: Iterable[Document]) -> list[str]:
    return [document.text for document in documents]


def test_paragraphs_of_a_text_file_are_documents(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("one\nline more\n\n \n\ntwo\n", encoding="utf-8")
    assert read(path, cache) == [Document("one line more", "notes"), Document("two", "notes")]


def test_an_endless_paragraph_comes_in_pieces(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("a line of text\n" * 200_000, encoding="utf-8")
    pieces = texts(read(path, cache))
    assert len(pieces) == 3
    assert max(len(piece) for piece in pieces) <= LONGEST_PARAGRAPH_BYTES
    assert " ".join(pieces) == " ".join(["a line of text"] * 200_000)


def test_an_endless_line_comes_in_pieces(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "line.txt"
    path.write_text("é" * (2 * LONGEST_PARAGRAPH_BYTES), encoding="utf-8")
    pieces = texts(read(path, cache))
    assert "".join(pieces) == "é" * (2 * LONGEST_PARAGRAPH_BYTES)
    assert max(len(piece.encode()) for piece in pieces) <= LONGEST_PARAGRAPH_BYTES


def test_json_lines_plain_and_compressed(
    tmp_path: Path, cache: Path, write_jsonl: WriteJsonl
) -> None:
    plain = write_jsonl("a.jsonl", TEXTS)
    packed = tmp_path / "b.json.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    documents = read({"files": [str(plain), str(packed)]}, cache)
    assert texts(documents) == CLEAN * 2
    assert {document.domain for document in documents} == {"a", "b"}


@pytest.mark.parametrize("layout", ["parquet", "arrow stream", "arrow file"])
def test_columnar_files(layout: str, tmp_path: Path, cache: Path) -> None:
    table = pa.table({"body": TEXTS, "other": [1, 2, 3]})
    path = tmp_path / f"part-00001-of-00002.{layout.split()[0]}"
    if layout == "parquet":
        pq.write_table(table, path)
    else:
        new = pa.ipc.new_stream if layout == "arrow stream" else pa.ipc.new_file
        with new(str(path), table.schema) as writer:
            writer.write_table(table)
    documents = read({"files": str(path), "text_field": "body"}, cache)
    assert documents == [Document(text, "part") for text in CLEAN]


def test_folders_give_their_names_as_domains(
    tmp_path: Path, cache: Path, write_jsonl: WriteJsonl
) -> None:
    write_jsonl("corpus/news/deep/1.jsonl", ["n"])
    write_jsonl("corpus/law/1.jsonl", ["l"])
    write_jsonl("corpus/top.jsonl", ["t"])
    write_jsonl("corpus/.hidden/1.jsonl", ["h"])
    (tmp_path / "corpus" / "README.md").write_text("not a corpus")
    documents = read(tmp_path / "corpus", cache)
    assert documents == [Document("l", "law"), Document("n", "news"), Document("t", "top")]


def test_the_layout_of_c4(tmp_path: Path, cache: Path) -> None:
    for shard in range(2):
        path = tmp_path / "c4" / "en" / f"c4-train.0000{shard}-of-01024.json.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"text": f"page\nof shard {shard}", "timestamp": "2019", "url": "example"}
        path.write_bytes(gzip.compress((json.dumps(record) + "\n").encode()))
    expected = ["page of shard 0", "page of shard 1"]
    inner = read(tmp_path / "c4" / "en", cache)
    assert inner == [Document(text, "c4-train") for text in expected]
    assert read(tmp_path / "c4", cache) == [Document(text, "en") for text in expected]


def test_the_layout_of_the_pile(cache: Path, write_jsonl: WriteJsonl) -> None:
    names = ["ArXiv", "FreeLaw", "ArXiv"]
    records = [
        {"text": f"text {i}", "meta": {"pile_set_name": name}} for i, name in enumerate(names)
    ]
    path = write_jsonl("train/00.jsonl", records)
    plain = read(path, cache)
    assert {document.domain for document in plain} == {"train"}
    by_name = {"files": str(path), "domain_field": "meta.pile_set_name"}
    assert [document.domain for document in read(by_name, cache)] == names
    only = read(by_name | {"domains": ["ArXiv"]}, cache)
    assert texts(only) == ["text 0", "text 2"]


def test_a_null_or_blank_text_is_skipped(cache: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("a.jsonl", [{"text": None}, " \n\0", "kept"])
    assert texts(read(path, cache)) == ["kept"]


def test_half_a_character_is_replaced(cache: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("a.jsonl", ["half \ud83d of é"])
    assert texts(read(path, cache)) == ["half \ufffd of é"]


def test_the_fingerprint_follows_content_not_place(
    tmp_path: Path, cache: Path, write_jsonl: WriteJsonl
) -> None:
    path = write_jsonl("x/a.jsonl", TEXTS)
    before = source_fingerprint(parse_source(path), cache)
    moved = tmp_path / "y" / "a.jsonl"
    moved.parent.mkdir()
    moved.write_bytes(path.read_bytes())
    assert source_fingerprint(parse_source(moved), cache) == before
    os.utime(path)
    assert source_fingerprint(parse_source(path), cache) == before
    write_jsonl("x/a.jsonl", [*TEXTS, "more"])
    assert source_fingerprint(parse_source(path), cache) != before


def _bad_file(kind: str, folder: Path) -> Path:
    contents = {
        "bytes.txt": b"good line\nbad \xff byte\n",
        "bytes.jsonl": b'{"text": "a"}\n{"text": "\xff"}\n',
        "broken.jsonl": b'{"text": "a"}\n{"text": \n',
        "list.jsonl": b'["a"]\n',
        "field.jsonl": b'{"body": "a", "id": 1}\n',
        "type.jsonl": b'{"text": 5}\n',
        "cut.jsonl.gz": gzip.compress(b'{"text": "a"}\n' * 5000)[:60],
        "not.jsonl.gz": b"plain",
        "bad.parquet": b"PAR1 nothing here",
        "bad.arrow": b"nothing here either",
        "kind.docx": b"",
    }
    path = folder / kind
    path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("bytes.txt", "line 2: byte 0xff is not valid UTF-8"),
        ("bytes.jsonl", "line 2: byte 0xff is not valid UTF-8"),
        ("broken.jsonl", "line 2: not valid JSON"),
        ("list.jsonl", "line 1: expected one JSON object a line"),
        ("field.jsonl", "line 1: text_field: no field 'text'; valid here: body, id"),
        ("type.jsonl", "line 1: text_field: field 'text' holds 5"),
        ("cut.jsonl.gz", "the file is cut short: fetch it again"),
        ("not.jsonl.gz", "cannot be read"),
        ("bad.parquet", "the file is cut short: fetch it again"),
        ("bad.arrow", "not a readable Arrow file"),
        ("kind.docx", "valid endings: .txt, .jsonl"),
    ],
)
def test_a_bad_file_is_named_in_one_line(kind: str, said: str, tmp_path: Path, cache: Path) -> None:
    path = _bad_file(kind, tmp_path)
    with pytest.raises(UserError) as caught:
        read(path, cache)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_empty_folders(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(UserError, match=r"files: .*gone\.txt: no such file"):
        read({"files": str(tmp_path / "gone.txt")}, cache)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no file in .*empty ends in \.txt"):
        read(tmp_path / "empty", cache)
