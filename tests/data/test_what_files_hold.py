"""Files read by what they hold; what is not used of them; a reader that is killed."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.core.errors import UserError
from benchmark.data.source import FilesSource
from benchmark.data.sources import read_source
from benchmark.data.text import Tally


def test_a_list_of_records_is_read_as_lines_are(tmp_path: Path, cache: Path) -> None:
    records = [{"text": f"a text of its own, number {i}\nand more", "n": [i]} for i in range(9000)]
    lines, listed, spread, marked = (tmp_path / f"{name}.json" for name in "abcd")
    lines.write_text("".join(json.dumps(record) + "\n" for record in records))
    listed.write_text(json.dumps(records))
    spread.write_text("\n".join(json.dumps(record, indent=2) for record in records))
    marked.write_text("\ufeff" + json.dumps(records, indent=1))
    wanted = [d.text for d in read_source(FilesSource(files=(lines,)), cache)]
    assert len(wanted) == 9000
    for file in (listed, spread, marked):
        assert [d.text for d in read_source(FilesSource(files=(file,)), cache)] == wanted


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"text": "a"},\n {"text": "b"', "line 2: not valid JSON"),
        ('[{"text": "a"}', "line 1: not valid JSON: the list is cut short"),
        ('[{"text": "a"}]\n[{"text": "b"}]', "line 2: not valid JSON: something follows the list"),
        ('[\n{"text": "a"},\n{"text" "b"}\n]', "line 3: not valid JSON: Expecting ':'"),
        ('[{"text": "a", "n": ' + "9" * 5000 + "}]", "a number of too many digits"),
        ('["a"]', "line 1: expected one JSON object .* got a str"),
        ("version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer"),
        ("PAR1 and more", "holds columns, not text: rename it to end in .parquet"),
        ("PK\x03\x04", "is an archive"),
        ("t\0e\0x\0t\0", "looks like UTF-16 or UTF-32 without a byte-order mark"),
    ],
)
def test_what_is_no_json_is_refused(content: str, said: str, tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        list(read_source(FilesSource(files=(file,)), cache))
    assert "\n" not in str(caught.value)


def _whole(layout: str) -> bytes:
    texts = np.random.default_rng(0).integers(0, 10**9, (500, 4)).astype(str)
    lines = b"".join(b'{"text": "%s"}\n' % " ".join(row).encode() for row in texts)
    table = pa.table({"text": [f"text {number}" for number in range(500)]})
    made = pa.BufferOutputStream()
    match layout:
        case "parquet":
            pq.write_table(table, made)
        case "arrow":
            with pa.ipc.new_file(made, table.schema) as writer:
                writer.write_table(table)
        case "jsonl.zst":
            return bytes(pa.compress(lines, "zstd", asbytes=True))
        case _:
            packed = {
                "jsonl.gz": gzip.compress,
                "jsonl.bz2": bz2.compress,
                "jsonl.xz": lzma.compress,
            }
            return packed.get(layout, bytes)(lines)
    return bytes(made.getvalue())


@pytest.mark.parametrize(
    "layout", ["jsonl", "jsonl.gz", "jsonl.bz2", "jsonl.xz", "jsonl.zst", "parquet", "arrow"]
)
def test_a_file_that_is_cut_short_is_said_to_be(layout: str, tmp_path: Path, cache: Path) -> None:
    file = tmp_path / f"shard.{layout}"
    whole = _whole(layout)
    file.write_bytes(whole)
    assert len(list(read_source(FilesSource(files=(file,)), cache))) == 500
    for size in (len(whole) // 2, len(whole) - 3):
        file.write_bytes(whole[:size])
        said = rf"shard\.{layout}: (line \d+ breaks off: )?the file is cut short: fetch it again"
        with pytest.raises(UserError, match=said) as caught:
            list(read_source(FilesSource(files=(file,)), cache))
        assert "\n" not in str(caught.value)


def test_compression_is_known_by_content(tmp_path: Path, cache: Path) -> None:
    packed, plain = tmp_path / "a.txt", tmp_path / "b.txt.gz"
    packed.write_bytes(gzip.compress(b"one\n\ntwo"))
    plain.write_text("one\n\ntwo")
    read = list(read_source(FilesSource(files=(packed,)), cache))
    assert [document.text for document in read] == ["one", "two"]
    with pytest.raises(UserError, match=r"the name says \.gz, but the content is not"):
        list(read_source(FilesSource(files=(plain,)), cache))


def test_lines_may_end_in_carriage_returns(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\rline\r\rtwo\r")
    read = list(read_source(FilesSource(files=(tmp_path / "a.txt",)), cache))
    assert [document.text for document in read] == ["one line", "two"]


def test_what_is_left_out_is_counted_and_named(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.txt").write_text("\n \n")
    records = [{"text": "a\0b", "d": "x"}, {"text": "c", "d": "y"}]
    lines = "".join(json.dumps(r) + "\n" for r in records) + '{"text": 1, "text": "e", "d": "x"}\n'
    (tmp_path / "in" / "full.jsonl").write_text(lines)
    tally = Tally()
    list(read_source(FilesSource(files=(tmp_path / "in" / "empty.txt",)), cache, "keep", tally))
    source = FilesSource(
        files=(tmp_path / "in" / "full.jsonl",), domain_field="d", domains=("x", "z")
    )
    list(read_source(source, cache, "keep", tally))
    assert tally.notes() == (
        "JSON objects with a key twice, of which the last counts: 1",
        "documents of domains that are not asked for: 1",
        "documents with NUL characters, which are left out of them: 1",
        "domains asked for that no document has: 1 (z)",
        f"files without a document: 1 ({tmp_path}/in/empty.txt)",
    )


def test_names_are_spelled_as_they_can_be_written(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "one", "d": "\\ud800x", "\\udfff": 1}\n{"text": "two", "d": "e\\u0301"}\n'
    )
    tally = Tally()
    source = FilesSource(files=(tmp_path / "a.jsonl",), domain_field="d")
    read = list(read_source(source, cache, "keep", tally))
    assert [document.domain for document in read] == ["\\ud800x", "\u00e9"]
    assert tally.notes() == ("columns not read: \\udfff",)


def test_a_killed_reader_is_reported_with_its_file(tmp_path: Path) -> None:
    code = (
        "import os\nfrom benchmark.data.obituary import now_reading, obituary\n"
        "with obituary():\n    now_reading('a.parquet')\n"
        "with obituary():\n    now_reading('b.parquet')\n    os.abort()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == -signal.SIGABRT
    assert "b.parquet: the process was killed while reading it" in done.stderr
    assert "a.parquet" not in done.stderr
