"""Cutting, storing and caching rows; interruption, full disks and memory."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.errors import UserError
from benchmark.data import DataConfig, RowStore, build_rows, parse_source
from benchmark.data.encoding import cut_rows, encode_documents, row_blocks
from benchmark.data.storage import ArrayWriter, build_folder, open_array
from benchmark.data.text import Document
from benchmark.data.tokenizers import ByteTokenizer
from benchmark.data.writing import ROWS_A_SECTION
from tests.data.conftest import WriteJsonl, sentences

SETTINGS = DataConfig(width=32, min_tokens=8)


@given(
    length=st.integers(0, 300),
    width=st.integers(2, 40),
    examples=st.sampled_from(["first", "chunks"]),
    shortest=st.integers(1, 40),
)
def test_rows_hold_the_document_in_order(
    length: int, width: int, examples: str, shortest: int
) -> None:
    shortest = min(shortest, width)
    tokens = np.arange(1, length + 1)
    rows = cut_rows(tokens, width, examples, shortest)
    kept = rows[rows > 0]
    assert rows.shape == (len(rows), width)
    assert (kept == tokens[: len(kept)]).all()
    lost = min(length, width) - len(kept) if examples == "first" else length - len(kept)
    assert 0 <= lost < shortest
    assert all(np.count_nonzero(row) >= shortest for row in rows)


def test_a_store_says_what_it_holds(cache: Path, write_jsonl: WriteJsonl) -> None:
    texts = ["x" * 70, "short", "y" * 32 * (ROWS_A_SECTION + 1)]
    records: list[dict[str, object]] = [
        {"text": text, "kind": kind} for text, kind in zip(texts, "aba", strict=True)
    ]
    path = write_jsonl("a.jsonl", records)
    store = build_rows(parse_source({"files": str(path), "domain_field": "kind"}), SETTINGS, cache)
    assert store.meta.n_documents == 2
    assert store.meta.domain_names == ("a",)
    assert len(store) == store.meta.n_rows == 2 + ROWS_A_SECTION + 1
    assert store.meta.n_tokens == 64 + 32 * (ROWS_A_SECTION + 1)
    assert store.documents.tolist() == [0, 0] + [1] * (ROWS_A_SECTION + 1)
    assert store.sections.tolist() == [0, 0] + [1] * ROWS_A_SECTION + [2]
    assert store.tokens.dtype == np.uint8
    assert isinstance(store.tokens, np.memmap)


def test_a_second_call_reads_nothing(cache: Path, write_jsonl: WriteJsonl) -> None:
    source = parse_source(write_jsonl("a.jsonl", sentences(30)))
    calls: list[int] = []
    first = build_rows(source, SETTINGS, cache, lambda _, rows, __: calls.append(rows))
    assert calls == [len(first)]
    second = build_rows(source, SETTINGS, cache, lambda _, rows, __: calls.append(rows))
    assert len(calls) == 1
    assert second.folder == first.folder


@pytest.mark.parametrize(
    "change", [{"width": 16}, {"examples": "first"}, {"min_tokens": 9}], ids=str
)
def test_other_settings_are_another_store(
    change: dict[str, object], cache: Path, write_jsonl: WriteJsonl
) -> None:
    source = parse_source(write_jsonl("a.jsonl", sentences(5)))
    first = build_rows(source, SETTINGS, cache)
    other = build_rows(source, SETTINGS.model_copy(update=change), cache)
    assert other.folder != first.folder


def test_what_does_not_shape_rows_shares_the_store(cache: Path, write_jsonl: WriteJsonl) -> None:
    source = parse_source(write_jsonl("a.jsonl", sentences(5)))
    first = build_rows(source, SETTINGS, cache)
    other = build_rows(source, SETTINGS.model_copy(update={"generic_valid": 3}), cache)
    assert other.folder == first.folder


@pytest.mark.parametrize("texts", [[], ["", " "], ["tiny"]], ids=["no", "blank", "short"])
def test_an_empty_corpus(texts: list[str], cache: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl("a.jsonl", texts)
    with pytest.raises(UserError, match=r"a\.jsonl: no document of min_tokens 8 tokens or more"):
        build_rows(parse_source(path), SETTINGS, cache)
    assert [p for p in (cache / "rows").iterdir() if p.is_dir()] == []


def test_a_failing_source_leaves_nothing_behind(cache: Path, write_jsonl: WriteJsonl) -> None:
    good = sentences(1000)
    path = write_jsonl("a.jsonl", [*good, {"body": "wrong"}])
    with pytest.raises(UserError, match="line 1001"):
        build_rows(parse_source(path), SETTINGS, cache)
    assert [p for p in (cache / "rows").iterdir() if p.is_dir()] == []
    write_jsonl("a.jsonl", good)
    assert build_rows(parse_source(path), SETTINGS, cache).meta.n_documents == 1000


def test_a_full_disk(cache: Path, write_jsonl: WriteJsonl, monkeypatch: pytest.MonkeyPatch) -> None:
    done = build_rows(parse_source(write_jsonl("done.jsonl", sentences(9))), SETTINGS, cache)
    before = np.array(done.tokens)
    source = parse_source(write_jsonl("a.jsonl", sentences(10)))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(ArrayWriter, "append", full)
        with pytest.raises(UserError, match=r"cache/rows: the disk is full; free space") as caught:
            build_rows(source, SETTINGS, cache)
    assert "\n" not in str(caught.value)
    assert list((cache / "rows").glob("*.partial")) == []
    assert (RowStore.open(done.folder).tokens == before).all()
    assert build_rows(source, SETTINGS, cache).meta.n_documents == 10


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_the_system_refuses(cache: Path, write_jsonl: WriteJsonl) -> None:
    source = parse_source(write_jsonl("a.jsonl", sentences(2000)))
    with (
        file_size_limit(100_000),
        pytest.raises(UserError, match=r"cache/rows: a file would exceed the file size limit"),
    ):
        build_rows(source, SETTINGS, cache)
    assert [p for p in (cache / "rows").iterdir() if p.is_dir()] == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    source = parse_source(write_jsonl("a.jsonl", sentences(9)))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="a part of this path is a file"):
        build_rows(source, SETTINGS, tmp_path / "file" / "cache")


@pytest.mark.parametrize("name", ["tokens.npy", "sections.npy", "meta.json"])
def test_a_damaged_store_is_reported(name: str, cache: Path, write_jsonl: WriteJsonl) -> None:
    source = parse_source(write_jsonl("a.jsonl", sentences(9)))
    path = build_rows(source, SETTINGS, cache).folder / name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged") as caught:
        build_rows(source, SETTINGS, cache)
    assert str(path) in str(caught.value)


def test_no_store_where_one_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no token rows here"):
        RowStore.open(tmp_path)


KILLED = """
import sys, time
from pathlib import Path
from benchmark.data import DataConfig, build_rows, parse_source

def slow(what, rows, of):
    print(rows, flush=True)
    time.sleep(0.2)

settings = DataConfig(width=32, min_tokens=8)
build_rows(parse_source(sys.argv[1]), settings, Path(sys.argv[2]), slow)
"""


def test_a_killed_build_starts_again_to_the_same_bytes(
    tmp_path: Path, cache: Path, write_jsonl: WriteJsonl
) -> None:
    path = write_jsonl("a.jsonl", sentences(5000))
    command = [sys.executable, "-c", KILLED, str(path), str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as building:
        assert building.stdout is not None
        building.stdout.readline()
        building.stdout.readline()
        building.send_signal(signal.SIGKILL)
    folders = [p.name for p in (cache / "rows").iterdir() if p.is_dir()]
    assert len(folders) == 1
    assert folders[0].endswith(".partial")
    again = build_rows(parse_source(path), SETTINGS, cache)
    whole = build_rows(parse_source(path), SETTINGS, tmp_path / "other")
    files = sorted(p.name for p in whole.folder.iterdir())
    assert [p.name for p in sorted(again.folder.iterdir())] == files
    assert all(
        (again.folder / name).read_bytes() == (whole.folder / name).read_bytes() for name in files
    )
    assert list((cache / "rows").glob("*.partial")) == []


def test_whoever_comes_second_keeps_the_first_result(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    build_folder(folder, lambda partial: (partial / "a").touch())
    build_folder(folder, lambda partial: (partial / "b").touch())
    assert [path.name for path in folder.iterdir()] == ["a"]


@given(sizes=st.lists(st.integers(0, 50), max_size=6), columns=st.integers(1, 5))
def test_an_array_written_in_blocks_is_the_whole(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], columns: int
) -> None:
    path = tmp_path_factory.mktemp("arrays") / "a.npy"
    parts = [np.arange(size * columns).reshape(size, columns) for size in sizes]
    with ArrayWriter(path, np.int64, (columns,)) as out:
        for part in parts:
            out.append(part)
    whole = np.concatenate([np.empty((0, columns), np.int64), *parts])
    if len(whole):  # an empty file cannot be mapped
        assert (open_array(path) == whole).all()
    assert out.n_rows == len(whole)


def _peak_of_building(path: Path, cache: Path) -> int:
    tracemalloc.start()
    build_rows(parse_source(path), SETTINGS, cache)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_of_building_does_not_grow_with_the_corpus(
    cache: Path, write_jsonl: WriteJsonl
) -> None:
    build_rows(parse_source(write_jsonl("warm-up.jsonl", sentences(600))), SETTINGS, cache)
    small = _peak_of_building(write_jsonl("small.jsonl", sentences(3000)), cache)
    large = _peak_of_building(write_jsonl("large.jsonl", sentences(12000, seed=1)), cache)
    assert large < 1.1 * small


def test_memory_of_parquet_does_not_grow_with_a_row_group(cache: Path, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    peaks = []
    for count in (20_000, 80_000):
        path = tmp_path / f"{count}.parquet"
        table = pa.table({"text": sentences(count, words=20)})
        pq.write_table(table, path, row_group_size=count, use_dictionary=False)
        del table
        pool = pa.proxy_memory_pool(pa.default_memory_pool())
        pa.set_memory_pool(pool)
        try:
            build_rows(parse_source(path), SETTINGS, cache)
        finally:
            pa.set_memory_pool(pa.system_memory_pool())
        peaks.append(pool.max_memory())
    assert 0 < peaks[1] < 1.1 * peaks[0]


class CountingTokenizer(ByteTokenizer):
    """Bytes, and the longest text that was ever encoded at once."""

    def __init__(self) -> None:
        self.longest = 0

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        self.longest = max(self.longest, sum(map(len, texts)))
        return super().encode_batch(texts)


@pytest.mark.parametrize("examples", ["chunks", "first"])
def test_a_document_of_any_length_is_encoded_in_pieces(
    examples: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.data.encoding.CHARACTERS_A_BATCH", 300)
    monkeypatch.setattr("benchmark.data.encoding.CHARACTERS_A_PIECE", 100)
    texts = ["é" * 5000, " ".join(sentences(50)), "short", "x" * 301, "y" * (32 * 12 + 9)]
    tokenizer = CountingTokenizer()
    documents = [Document(text, "d") for text in texts]
    for document, vectors in encode_documents(documents, tokenizer):
        rows = list(row_blocks(vectors, 32, examples, 8))
        whole = ByteTokenizer().encode_batch([document.text])[0]
        expected = cut_rows(whole, 32, examples, 8)
        assert np.array_equal(np.concatenate([np.zeros((0, 32), np.uint8), *rows]), expected)
    assert tokenizer.longest == 100


def test_long_documents_keep_their_sections(
    cache: Path, write_jsonl: WriteJsonl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write_jsonl("a.jsonl", ["a" * 9000, *sentences(9), "b c" * 3000])
    whole = build_rows(parse_source(path), SETTINGS, cache)
    monkeypatch.setattr("benchmark.data.encoding.CHARACTERS_A_BATCH", 300)
    monkeypatch.setattr("benchmark.data.encoding.CHARACTERS_A_PIECE", 100)
    pieces = build_rows(parse_source(path), SETTINGS, tmp_path / "other")
    assert pieces.meta == whole.meta


def test_kept_white_space_is_another_store(cache: Path, write_jsonl: WriteJsonl) -> None:
    source = parse_source(write_jsonl("a.jsonl", ["def f(x):\n    return x + 10"]))
    keep = SETTINGS.model_copy(update={"whitespace": "keep"})
    stores = [build_rows(source, settings, cache) for settings in (SETTINGS, keep)]
    shown = [bytes(store.tokens[store.tokens > 0]).decode() for store in stores]
    assert shown == ["def f(x): return x + 10", "def f(x):\n    return x + 10"]
    assert stores[1].meta.notes == ()


def test_embedded_studies_need_no_word_for_collapsed_white_space() -> None:
    assert "whitespace" not in SETTINGS.model_dump()
    keep = SETTINGS.model_copy(update={"whitespace": "keep"})
    assert DataConfig.model_validate_json(keep.model_dump_json()) == keep
