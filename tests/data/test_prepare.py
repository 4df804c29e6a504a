"""Duplicates, splits, views and the report."""

from __future__ import annotations

import json
import shutil
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.core.errors import UserError
from benchmark.core.randomness import splitmix64
from benchmark.data import (
    DataConfig,
    PreparedData,
    RowView,
    TargetConfig,
    build_rows,
    open_prepared,
    parse_source,
    prepare,
)
from benchmark.data.dedup import RowSet, row_hashes
from benchmark.data.prepare import SPLITS
from benchmark.data.writing import ROWS_A_SECTION
from tests.data.conftest import WriteJsonl, sentences

DATA = {"width": 32, "min_tokens": 4, "examples": "first", "generic_valid": 20}
TARGET = {"train": 40, "valid": 10, "test": 20}
EVALUATED = ("target_test", "target_valid", "generic_valid")


def prepare_files(
    generic: Path,
    target: Path,
    cache: Path,
    data: dict[str, object] | None = None,
    sizes: dict[str, int] | None = None,
) -> PreparedData:
    """`prepare` with small sizes, changed as asked."""
    settings = DataConfig.model_validate(DATA | (data or {}) | {"generic": str(generic)})
    sample = TargetConfig.model_validate(TARGET | (sizes or {}) | {"source": str(target)})
    return prepare(settings, sample, cache)


def rows_of(view: RowView) -> list[bytes]:
    """The rows of a view as comparable values."""
    return [row.tobytes() for row in view.tokens(np.arange(len(view)))]


def removed(prepared: PreparedData, split: str) -> dict[str, int]:
    return prepared.report.duplicates_removed[split]


@given(
    known=st.lists(st.tuples(*[st.integers(0, 2)] * 3), max_size=12),
    asked=st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=12),
    kind=st.sampled_from([np.uint8, np.uint16, np.uint32]),
)
def test_a_row_set_is_a_set_of_rows(
    known: list[tuple[int, ...]], asked: list[tuple[int, ...]], kind: type
) -> None:
    rows = RowSet()
    labels: dict[tuple[int, ...], str] = {}
    for i, row in enumerate(known):
        assert rows.add(np.array(row, dtype=kind), str(i)) == labels.get(row)
        labels.setdefault(row, str(i))
    assert len(rows) == len(labels)
    expected = {i: labels[row] for i, row in enumerate(asked) if row in labels}
    assert rows.labels(np.array(asked, dtype=kind)) == expected


def test_equal_hashes_are_not_taken_for_equal_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def collide(tokens: np.ndarray) -> np.ndarray:
        return np.zeros(len(tokens), dtype=np.uint64)

    monkeypatch.setattr("benchmark.data.dedup.row_hashes", collide)
    rows = RowSet()
    rows.add(np.array([1, 2], dtype=np.uint8), "a")
    rows.add(np.array([3, 4], dtype=np.uint8), "b")
    assert rows.labels(np.array([[3, 4], [5, 6], [1, 2]], dtype=np.uint8)) == {0: "b", 2: "a"}


def test_hashes_tell_rows_apart() -> None:
    rows = np.random.default_rng(0).integers(0, 256, size=(20_000, 16)).astype(np.uint8)
    assert len(np.unique(row_hashes(rows))) == len(np.unique(rows, axis=0))
    assert len(np.unique(row_hashes(np.eye(64, dtype=np.uint8)))) == 64
    assert len(np.unique(splitmix64(np.arange(20_000)))) == 20_000


def test_splits_have_the_sizes_asked_for(cache: Path, write_jsonl: WriteJsonl) -> None:
    generic = write_jsonl("generic.jsonl", sentences(500))
    target = write_jsonl("target.jsonl", sentences(90, seed=1))
    prepared = prepare_files(generic, target, cache)
    expected = {
        "generic": 480,
        "generic_valid": 20,
        "target_train": 40,
        "target_valid": 10,
        "target_test": 20,
    }
    assert prepared.report.rows == expected == prepared.report.documents
    assert {name: len(getattr(prepared, name)) for name in SPLITS} == expected
    assert all(not counts for counts in prepared.report.duplicates_removed.values())
    assert (prepared.width, prepared.vocabulary_size, prepared.tokenizer) == (32, 256, "bytes")


def test_views_give_tokens_and_domains(cache: Path, write_jsonl: WriteJsonl) -> None:
    texts = sentences(300)
    write_jsonl("generic/law/a.jsonl", texts[:150])
    generic = write_jsonl("generic/news/a.jsonl", texts[150:]).parent.parent
    target = write_jsonl("target.jsonl", sentences(90, seed=1))
    view = prepare_files(generic, target, cache).generic
    tokens = view.tokens(np.array([5, 0, 5]))
    assert tokens.shape == (3, 32)
    assert tokens.dtype == np.int64
    assert (tokens[0] == tokens[2]).all()
    assert view.domain_names == ("law", "news")
    domains = view.domains(np.arange(len(view)))
    assert domains.shape == (280,)
    law = {text.encode()[:32] for text in texts[:150]}
    for row, domain in zip(view.tokens(np.arange(280)), domains, strict=True):
        assert (row[row > 0].astype(np.uint8).tobytes() in law) == (domain == 0)


def test_each_kind_of_duplicate_is_removed_and_counted(
    cache: Path, write_jsonl: WriteJsonl
) -> None:
    own = sentences(80, seed=1)
    target = write_jsonl("target.jsonl", [text for text in own for _ in range(3)])
    generic = write_jsonl("generic.jsonl", [*sentences(300), *own])
    prepared = prepare_files(generic, target, cache)
    repeated = sum(sum(removed(prepared, f"target_{split}").values()) for split in TARGET)
    assert repeated > 30
    assert removed(prepared, "target_train")["target_test"] > 0
    counts = removed(prepared, "generic")
    held = sum(removed(prepared, "generic_valid").values())
    assert counts["target_test"] + counts["target_valid"] + held >= 30
    trained = set(rows_of(prepared.generic))
    for name in EVALUATED:
        assert not trained & set(rows_of(getattr(prepared, name)))
    # What the target trains on may stay in the generic corpus: that gives nothing away.
    assert trained & set(rows_of(prepared.target_train))


MORE_TEXTS = st.lists(st.integers(0, 90), max_size=80)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(generic=MORE_TEXTS, target=MORE_TEXTS, examples=st.sampled_from(["first", "chunks"]))
def test_no_row_is_in_two_splits(
    generic: Sequence[int],
    target: Sequence[int],
    examples: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("splits")
    corpora = {"generic": [*range(30, 90), *generic], "target": [*range(40), *target]}
    for name, numbers in corpora.items():
        lines = [json.dumps({"text": f"{n:03} " * (3 + n % 7)}) for n in numbers]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    prepared = prepare_files(
        folder / "generic.jsonl",
        folder / "target.jsonl",
        folder / "cache",
        {"width": 12, "examples": examples, "generic_valid": 3},
        {"train": 15, "valid": 5, "test": 5},
    )
    names = ["target_test", "target_valid", "target_train", "generic_valid"]
    chosen = [row for name in names for row in rows_of(getattr(prepared, name))]
    assert len(chosen) == len(set(chosen)) == 28
    trained = set(rows_of(prepared.generic))
    assert not trained & {row for name in EVALUATED for row in rows_of(getattr(prepared, name))}
    everything = build_rows(
        parse_source(folder / "generic.jsonl"),
        DataConfig.model_validate(DATA | {"width": 12, "examples": examples}),
        folder / "cache",
    )
    gone = len(everything) - len(prepared.generic)
    assert gone >= sum(removed(prepared, "generic").values())


def test_sections_of_long_documents_go_to_one_split(cache: Path, write_jsonl: WriteJsonl) -> None:
    generic = write_jsonl("generic.jsonl", sentences(300))
    rows = 40 * ROWS_A_SECTION
    text = " ".join(f"{i:07}" for i in range(rows * 4))  # 8 bytes each, four to a row
    target = write_jsonl("target.jsonl", [text])
    sizes = {"train": 10 * ROWS_A_SECTION, "valid": 100, "test": 3 * ROWS_A_SECTION}
    prepared = prepare_files(generic, target, cache, {"examples": "chunks"}, sizes)
    used: set[int] = set()
    for split in ("target_test", "target_valid", "target_train"):
        view = getattr(prepared, split)
        sections = set(view.store.sections[view.index].tolist())
        assert not sections & used
        assert len(sections) == -(-len(view) // ROWS_A_SECTION)
        used |= sections


def test_rows_beside_generic_valid_are_not_trained_on(cache: Path, write_jsonl: WriteJsonl) -> None:
    generic = write_jsonl("generic.jsonl", sentences(100, words=200))
    target = write_jsonl("target.jsonl", sentences(90, seed=1))
    prepared = prepare_files(generic, target, cache, {"examples": "chunks"})
    store = prepared.generic.store
    documents = [
        set(store.documents[view.index].tolist())
        for view in (prepared.generic, prepared.generic_valid)
    ]
    assert documents[0].isdisjoint(documents[1])
    assert documents[0] | documents[1] == set(range(100))


def test_the_generic_store_is_shared_and_the_result_cached(
    cache: Path, write_jsonl: WriteJsonl
) -> None:
    generic = write_jsonl("generic.jsonl", sentences(500))
    one = write_jsonl("one.jsonl", sentences(90, seed=1))
    two = write_jsonl("two.jsonl", sentences(90, seed=2))
    first, second = prepare_files(generic, one, cache), prepare_files(generic, two, cache)
    assert first.generic.store.folder == second.generic.store.folder
    assert first.folder != second.folder
    assert first.generic.fingerprint == second.generic.fingerprint
    assert first.target_train.fingerprint != second.target_train.fingerprint
    start = time.perf_counter()
    again = prepare_files(generic, one, cache)
    assert time.perf_counter() - start < 0.5
    assert again.report == first.report


def test_preparing_is_reproducible(tmp_path: Path, cache: Path, write_jsonl: WriteJsonl) -> None:
    generic = write_jsonl("generic.jsonl", sentences(500))
    target = write_jsonl("target.jsonl", sentences(90, seed=1))
    first = prepare_files(generic, target, cache)
    other = prepare_files(generic, target, tmp_path / "other")
    assert other.report == first.report
    for path in first.folder.iterdir():
        assert path.read_bytes() == (other.folder / path.name).read_bytes()


def test_a_moved_cache_reopens(tmp_path: Path, cache: Path, write_jsonl: WriteJsonl) -> None:
    generic = write_jsonl("generic.jsonl", sentences(500))
    target = write_jsonl("target.jsonl", sentences(90, seed=1))
    prepared = prepare_files(generic, target, cache)
    before = rows_of(prepared.target_test)
    moved = tmp_path / "moved"
    shutil.copytree(cache, moved)
    shutil.rmtree(cache)
    reopened = open_prepared(moved / "prepared" / prepared.folder.name)
    assert rows_of(reopened.target_test) == before
    assert reopened.report == prepared.report


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"test": 200}, r"target\.test: 200 rows asked, 90 available"),
        ({"valid": 100}, r"target\.valid: 100 rows asked, 70 available"),
        ({"train": 61}, r"target\.train: 61 rows asked, 60 available"),
    ],
)
def test_a_target_that_is_too_small(
    sizes: dict[str, int], said: str, cache: Path, write_jsonl: WriteJsonl
) -> None:
    generic = write_jsonl("generic.jsonl", sentences(300))
    target = write_jsonl("target.jsonl", sentences(90, seed=1) * 2)
    with pytest.raises(UserError, match=said) as caught:
        prepare_files(generic, target, cache, sizes=sizes)
    assert "180 rows, 90 after removing duplicates" in str(caught.value)
    assert "target.jsonl" in str(caught.value)
    assert [path for path in (cache / "prepared").iterdir() if path.is_dir()] == []
    assert len(prepare_files(generic, target, cache).target_train) == 40


def test_corpora_whose_rows_are_all_duplicates(cache: Path, write_jsonl: WriteJsonl) -> None:
    good = write_jsonl("good.jsonl", sentences(300))
    same = write_jsonl("same.jsonl", ["always the same sentence here"] * 5000)
    with pytest.raises(UserError, match=r"target\.test: 20 rows asked, 1 available"):
        prepare_files(good, same, cache)
    with pytest.raises(UserError, match=r"data\.generic_valid: 20 rows asked, 1 available"):
        prepare_files(same, good, cache)


def test_a_generic_corpus_of_held_out_rows_only(cache: Path, write_jsonl: WriteJsonl) -> None:
    texts = sentences(30)
    target = write_jsonl("target.jsonl", texts)
    sizes = {"train": 1, "valid": 10, "test": 19}
    prepared = prepare_files(
        write_jsonl("other.jsonl", sentences(99, seed=3)), target, cache, {}, sizes
    )
    held_out = [text for text in texts if _is_evaluated(text, prepared)]
    assert len(held_out) == 29
    generic = write_jsonl("generic.jsonl", held_out)
    with pytest.raises(UserError, match=r"data\.generic_valid: 20 rows asked, 0 available"):
        prepare_files(generic, target, cache, {}, sizes)


def _is_evaluated(text: str, prepared: PreparedData) -> bool:
    row = np.frombuffer(text.encode()[:32], dtype=np.uint8).astype(np.int64).tobytes()
    return row not in rows_of(prepared.target_train)


def test_nothing_prepared_or_damaged(tmp_path: Path, cache: Path, write_jsonl: WriteJsonl) -> None:
    with pytest.raises(UserError, match="no prepared data here"):
        open_prepared(tmp_path)
    generic = write_jsonl("generic.jsonl", sentences(300))
    target = write_jsonl("target.jsonl", sentences(90, seed=1))
    folder = prepare_files(generic, target, cache).folder
    report = folder / "report.json"
    whole = report.read_text()
    report.write_text(whole[:50])
    with pytest.raises(UserError, match=r"report\.json: damaged"):
        open_prepared(folder)
    report.write_text(whole)
    np.save(folder / "target_test.npy", np.arange(3))
    with pytest.raises(UserError, match=r"target_test\.npy: damaged"):
        open_prepared(folder)


def _peak(prepared: PreparedData) -> int:
    draws = np.random.default_rng(0)
    tracemalloc.start()
    for _ in range(20):
        prepared.generic.tokens(draws.integers(0, len(prepared.generic), size=64))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.long
@pytest.mark.parametrize("near", ["keep", "remove"])
def test_memory_of_splitting_and_sampling_does_not_grow_with_the_generic_corpus(
    cache: Path, write_jsonl: WriteJsonl, monkeypatch: pytest.MonkeyPatch, near: str
) -> None:
    monkeypatch.setattr("benchmark.data.dedup.BLOCK_BYTES", 1 << 13)
    target = write_jsonl("target.jsonl", sentences(90, seed=1))
    splitting, sampling = [], []
    for name, count in {"warm-up": 100, "small": 5000, "large": 20_000}.items():
        generic = write_jsonl(f"{name}.jsonl", sentences(count))
        settings = DataConfig.model_validate(DATA | {"generic": str(generic)})
        build_rows(settings.generic, settings, cache)
        tracemalloc.start()
        prepared = prepare_files(generic, target, cache, {"near_duplicates": near})
        splitting.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sampling.append(_peak(prepared))
    assert splitting[2] < 1.1 * splitting[1]
    assert sampling[2] < 1.1 * sampling[1]
