"""Columns of Parquet and Arrow files: the ones asked for, whatever the others hold."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.core.errors import UserError
from benchmark.data import parse_source
from benchmark.data.sources import read_source
from benchmark.data.text import Document, Tally

TEXTS = ["one", "two", None, "é"]
KEPT = ["one", "two", "é"]


def write(path: Path, columns: dict[str, object]) -> Path:
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table)
    return path


def read(path: Path, cache: Path, tally: Tally | None = None, **choice: object) -> list[Document]:
    source = parse_source({"files": str(path)} | choice)
    return list(read_source(source, cache, tally=tally))


@pytest.fixture(params=["a.parquet", "a.arrow"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


@pytest.mark.parametrize(
    "other",
    [
        pa.array([2_534_023_008_000_000_000] * 4, pa.timestamp("us")),
        pa.array([5_000_000] * 4, pa.date32()),
        pa.array([2**62] * 4, pa.duration("s")),
        pa.StructArray.from_arrays([pa.array([1] * 4), pa.array([2] * 4)], names=["a", "a"]),
    ],
    ids=["timestamp", "date", "duration", "doubled"],
)
def test_a_column_that_nobody_asked_for_is_named_and_not_read(
    other: pa.Array, path: Path, cache: Path
) -> None:
    tally = Tally()
    documents = read(write(path, {"text": TEXTS, "other": other}), cache, tally)
    assert [document.text for document in documents] == KEPT
    assert tally.notes() == ("empty documents left out: 1", "columns not read: other")


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_every_type_of_text(kind: pa.DataType, path: Path, cache: Path) -> None:
    documents = read(write(path, {"text": pa.array(TEXTS).cast(kind)}), cache)
    assert [document.text for document in documents] == KEPT


def test_fields_inside_structures(path: Path, cache: Path) -> None:
    far = pa.array([5_000_000] * 4, pa.date32())
    inner = pa.StructArray.from_arrays([pa.array(["a", "b", "c", "d"]), far], ["kind", "far"])
    write(path, {"page": pa.StructArray.from_arrays([pa.array(TEXTS), inner], ["text", "meta"])})
    documents = read(path, cache, text_field="page.text", domain_field="page.meta.kind")
    assert documents == [Document("one", "a"), Document("two", "b"), Document("é", "d")]
    with pytest.raises(UserError, match=r"no field 'txt' of 'page\.txt'; valid: meta, text"):
        read(path, cache, text_field="page.txt")


def test_bytes_that_are_not_utf8_are_named_by_row(path: Path, cache: Path) -> None:
    column = pa.array([b"good"] * 300 + [b"caf\xe9"], pa.binary()).view(pa.string())
    write(path, {"text": column})
    with pytest.raises(UserError, match=r"row 301: column 'text': byte 0xe9 is not valid UTF-8"):
        read(path, cache)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"body": TEXTS}, "text_field: no field 'text'; valid here: body"),
        ({"text": [1, 2]}, "column 'text' holds int64, which is not text"),
        ({"text": [["secret"]]}, r"column 'text' holds list<.*>, which is not text"),
    ],
)
def test_a_column_that_cannot_be_the_text(
    columns: dict[str, object], said: str, path: Path, cache: Path
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        read(write(path, columns), cache)
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_damaged_files_are_refused_in_one_line(path: Path, cache: Path) -> None:
    whole = write(path, {"text": ["text " * 50] * 400}).read_bytes()
    for damaged in (b"", whole[:40], whole[: len(whole) // 2], whole[:-6]):
        path.write_bytes(damaged)
        if path.suffix == ".arrow" and len(damaged) > len(whole) - 7:
            continue  # a stream may lack its end mark
        with pytest.raises(UserError) as caught:
            read(path, cache)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
