"""Byte-order marks, compressions, white space, and lines that no library reads."""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pytest

from benchmark.core.errors import UserError
from benchmark.data import parse_source
from benchmark.data.sources import read_source
from benchmark.data.text import clean, keep_layout
from tests.data.conftest import WriteJsonl


def read(path: Path, cache: Path, **choice: object) -> list[str]:
    source = parse_source({"files": str(path)} | choice)
    return [document.text for document in read_source(source, cache)]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-8", b""),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_byte_order_mark_says_the_encoding(
    encoding: str, mark: bytes, pack: object, tmp_path: Path, cache: Path
) -> None:
    assert callable(pack)
    long = "é \U0001f40b " * 20_000  # more than a block, with characters of every length
    ending = ".gz" if pack is gzip.compress else ""
    lines = "".join(json.dumps({"text": t}, ensure_ascii=False) + "\r\n" for t in ("ä", long))
    file = tmp_path / f"a.jsonl{ending}"
    file.write_bytes(pack(mark + lines.encode(encoding)))
    assert read(file, cache) == ["ä", long.strip()]
    file = tmp_path / f"a.txt{ending}"
    file.write_bytes(pack(mark + "ä\r\n\r\nö\r\n".encode(encoding)))
    assert read(file, cache) == ["ä", "ö"]


def test_marks_inside_files_that_were_joined(tmp_path: Path, cache: Path) -> None:
    line = codecs.BOM_UTF8 + b'{"text": "a"}\n'
    (tmp_path / "a.jsonl").write_bytes(line * 2)
    assert read(tmp_path / "a.jsonl", cache) == ["a", "a"]


def test_a_mark_that_lies(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF16_LE + b"abc")
    with pytest.raises(UserError, match=r"a\.txt: the byte-order mark says UTF-16, but"):
        read(tmp_path / "a.txt", cache)


def test_every_compression_is_read(tmp_path: Path, cache: Path) -> None:
    def zstandard(content: bytes) -> bytes:
        return bytes(pa.compress(content, "zstd", asbytes=True))

    packers = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "ZST": zstandard}
    for ending, pack in packers.items():
        file = tmp_path / f"a.jsonl.{ending}"
        # Compressed files may be joined.
        file.write_bytes(pack(b'{"text": "one"}\n') + pack(b'{"text": "two"}\n'))
        assert read(file, cache) == ["one", "two"]
        file.write_bytes(b"not compressed at all, whatever the name says")
        with pytest.raises(UserError, match=r"a\.jsonl\.\w+: cannot be read: ") as caught:
            read(file, cache)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "secret", }', r"line 1: not valid JSON: .* \(column \d+\); expected one JSON"),
        ('["secret"]', "line 1: expected one JSON object a line .*, got a str"),
        ('"secret"', "line 1: expected one JSON object a line .*, got a str"),
        ('{"text": "secret", "n": ' + "9" * 5000 + "}", "line 1: holds a number of too many"),
        ('{"text": "secret", "n": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested too deep"),
        ('{"text": ["secret"]}', "field 'text' holds a list of 1 entries, which is not text"),
        ('{"text": {"secret": 1}}', "field 'text' holds a dict of 1 entries, which is not text"),
    ],
)
def test_no_message_repeats_a_document(line: str, said: str, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=said) as caught:
        read(tmp_path / "a.jsonl", cache)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_field_inside_a_text(cache: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("a.jsonl", ["secret " * 1000])
    with pytest.raises(UserError, match=r"valid here: none, it holds a text of 7,000 char") as said:
        read(path, cache, text_field="text.body")
    assert "secret" not in str(said.value)


def test_a_field_whose_name_has_a_dot(cache: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("a.jsonl", [{"page.text": "one"}])
    assert read(path, cache, text_field="page.text") == ["one"]


def test_text_files_have_no_fields(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "law.txt"
    path.write_text("one")
    with pytest.raises(UserError, match=r"law\.txt: domain_field: a text file has no field 'kind'"):
        read(path, cache, domain_field="kind")
    assert read(path, cache, domains=["law"]) == ["one"]
    assert read(path, cache, domains=["news"]) == []


def test_layout_is_kept_or_collapsed() -> None:
    code = "\r\n  \n\tif a:\r\n\t\treturn\0 1\r\rend \ud800 \n\n"
    assert keep_layout(code) == "\tif a:\n\t\treturn 1\n\nend \ufffd"
    assert clean(code) == "if a: return 1 end \ufffd"
    assert keep_layout("    x") == "    x"
    assert keep_layout(" \n\t\0\n ") == keep_layout("") == ""
