"""Near-duplicates of held-out rows: found, removed on the training side, counted, shown."""

from __future__ import annotations

import itertools
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmark.core.errors import UserError
from benchmark.data import DataConfig, PreparedData, RowView, TargetConfig, prepare
from benchmark.data.near import GRAM, HASHES, THRESHOLD, signatures
from benchmark.data.show import EXAMPLE_CHARACTERS, describe_data, near_lines
from benchmark.data.task_rows import rows_of
from tests.data.conftest import WriteJsonl, sentences

SIZES = {"train": 40, "valid": 10, "test": 20}
DATA = {"width": 96, "min_tokens": 4, "generic_valid": 20}
SHOWN = rows_of("language_modelling").shown(DataConfig())


def made(
    generic: Path, target: Path, cache: Path, near: str = "remove", **changes: object
) -> PreparedData:
    data = DataConfig.model_validate(
        DATA | {"generic": str(generic), "near_duplicates": near} | changes
    )
    return prepare(data, TargetConfig.model_validate(SIZES | {"source": str(target)}), cache)


def grams(row: np.ndarray) -> set[tuple[int, ...]]:
    tokens = row[row > 0].tolist()
    tokens += [0] * (GRAM - len(tokens))
    return {tuple(tokens[i : i + GRAM]) for i in range(len(tokens) - GRAM + 1)}


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    return len(grams(one) & grams(other)) / len(grams(one) | grams(other))


def texts_of(view: RowView) -> list[str]:
    rows = view.tokens(np.arange(len(view)))
    return [row[row > 0].astype(np.uint8).tobytes().decode() for row in rows]


def edited(text: str) -> str:
    """The text with one letter changed, that is 5 of its some 80 5-grams."""
    return f"{text[:40]}#{text[41:]}"


def test_signatures_estimate_the_jaccard_similarity_of_5_grams() -> None:
    draws = np.random.default_rng(0)
    rows = draws.integers(1, 40, size=(60, 64)).astype(np.uint8)
    rows[::7, 3:] = 0
    rows[::5, 40:] = 0
    other = rows.copy()
    for i, row in enumerate(other):
        places = draws.integers(0, np.count_nonzero(row), size=i % 5)
        row[places] = draws.integers(1, 40, size=len(places))
    groups = np.arange(len(rows))
    estimates = (signatures(rows, groups) == signatures(other, groups)).mean(axis=1)
    exact = np.array([jaccard(*pair) for pair in zip(rows, other, strict=True)])
    assert len(np.unique(exact)) > 10
    assert np.abs(estimates - exact).max() < 4 * np.sqrt(0.25 / HASHES)
    assert np.abs(estimates - exact).mean() < 0.03


def test_a_document_is_its_text_however_it_is_cut_into_rows() -> None:
    text = np.random.default_rng(0).integers(1, 40, size=120).astype(np.uint8)
    whole = signatures(text[None, :], np.zeros(1, dtype=int))
    for width in (60, 40, 8):
        rows = text.reshape(-1, width)
        groups = np.zeros(len(rows), dtype=int)
        np.testing.assert_array_equal(signatures(rows, groups), whole)
    # Two documents do not run into one another.
    twice = signatures(np.stack([text, text]), np.array([3, 4]))
    np.testing.assert_array_equal(twice, np.concatenate([whole, whole]))


def test_what_resembles_held_out_rows_is_not_trained_on(
    cache: Path, write_jsonl: WriteJsonl
) -> None:
    own = sentences(120, seed=1, words=14)
    target = write_jsonl("target.jsonl", [*own, *map(edited, own)])
    generic = write_jsonl("generic.jsonl", [*sentences(300, words=14), *map(edited, own)])
    with_near, without = (made(generic, target, cache, near) for near in ("keep", "remove"))
    for name in ("target_test", "target_valid"):
        assert getattr(with_near, name).fingerprint == getattr(without, name).fingerprint
    held = [*_rows(without.target_test), *_rows(without.target_valid)]

    def nearest(data: PreparedData) -> list[float]:
        trained = [*_rows(data.generic), *_rows(data.target_train)]
        return [max(jaccard(row, other) for other in held) for row in trained]

    margin = 2 * np.sqrt(THRESHOLD * (1 - THRESHOLD) / HASHES)
    assert max(nearest(without)) < THRESHOLD + margin
    assert sum(value >= THRESHOLD for value in nearest(with_near)) >= 20
    report = without.report.near_duplicates
    assert report is not None
    assert set(report.removed) == {"generic", "target_train"}
    assert report.removed["generic"]["target_test"] > 5
    assert report.removed["target_train"]["target_test"] > 2
    assert sum(report.domains.values()) == sum(report.removed["generic"].values())
    lost = len(with_near.generic) - len(without.generic)
    assert lost == sum(report.removed["generic"].values())
    # Nothing else is lost: what the threshold is far from stays.
    others = set(sentences(300, words=14))
    kept, all_ = (others & set(texts_of(data.generic)) for data in (without, with_near))
    assert kept == all_


def _rows(view: RowView) -> np.ndarray:
    return view.tokens(np.arange(len(view)))


def test_a_copy_shifted_against_the_rows_is_found_by_its_document(
    cache: Path, write_jsonl: WriteJsonl
) -> None:
    own = sentences(60, seed=1, words=60)
    target = write_jsonl("target.jsonl", own)
    shifted = [f"a head before it. {text}" for text in own]
    generic = write_jsonl("generic.jsonl", [*sentences(100, words=60), *shifted])
    prepared = made(generic, target, cache)
    report = prepared.report.near_duplicates
    assert report is not None
    kinds = {(found.split, found.kind) for found in report.examples}
    assert ("generic", "document") in kinds
    # Of a document its first row is shown, beside that of the held-out one.
    lines = near_lines(prepared, SHOWN)
    assert next(line for line in lines if "document" in line).count("a head") == 1
    assert sum(report.removed["generic"].values()) > 30


def test_planted_rows_are_no_exception(cache: Path, write_jsonl: WriteJsonl) -> None:
    own = sentences(120, seed=1, words=14)
    target = write_jsonl("target.jsonl", own)
    web = {"source": str(write_jsonl("web.jsonl", sentences(300, words=14))), "megabytes": 1.0}
    hidden = {"source": str(write_jsonl("hidden.jsonl", map(edited, own))), "megabytes": 1.0}
    mixture = {"mixture": {"web": web, "planted": hidden}}
    data = DataConfig.model_validate(DATA | {"generic": mixture, "near_duplicates": "remove"})
    sample = TargetConfig.model_validate(SIZES | {"source": str(target)})
    report = prepare(data, sample, cache).report
    assert report.near_duplicates is not None
    assert report.near_duplicates.domains["planted"] > 20
    assert "web" not in report.near_duplicates.domains


def test_blocks_of_any_size_find_the_same(
    cache: Path, write_jsonl: WriteJsonl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = sentences(90, seed=1, words=60)
    target = write_jsonl("target.jsonl", own)
    generic = write_jsonl("generic.jsonl", [*sentences(100, words=60), *map(edited, own)])
    one = made(generic, target, cache)
    monkeypatch.setattr("benchmark.data.dedup.BLOCK_BYTES", 8 * 96 * 7)
    other = made(generic, target, tmp_path / "other")
    assert one.report == other.report
    assert one.generic.fingerprint == other.generic.fingerprint


def test_records_without_removal_are_what_they_were(cache: Path, write_jsonl: WriteJsonl) -> None:
    generic = write_jsonl("generic.jsonl", sentences(300))
    target = write_jsonl("target.jsonl", sentences(90, seed=1))
    assert "near_duplicates" not in made(generic, target, cache, "keep").summary()
    assert made(generic, target, cache).summary()["near_duplicates"] == {
        "removed": {"generic": {}, "target_train": {}},
        "domains": {},
        "examples": [],
    }


def test_a_split_that_removal_empties_is_said_in_a_line(
    cache: Path, write_jsonl: WriteJsonl
) -> None:
    first = sentences(1, words=14)[0].split()
    same = [" ".join([*first[:i], f"word{i}", *first[i:]]) for i in range(len(first))]
    alike = [f"{text} {i}" for text, i in itertools.product(same, range(10))]
    target = write_jsonl("target.jsonl", alike)
    generic = write_jsonl("generic.jsonl", sentences(300, words=14))
    made(generic, target, cache, "keep")
    with pytest.raises(UserError, match=r"target\.train: 40 rows asked, \d+ available") as raised:
        made(generic, target, cache)
    assert "near-duplicates of test and valid" in str(raised.value)
    assert "data.near_duplicates: keep" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "word1" not in str(raised.value)


def test_a_generic_corpus_that_removal_empties_is_said_in_a_line(
    cache: Path, write_jsonl: WriteJsonl
) -> None:
    text = sentences(1, words=14)[0]
    alike = write_jsonl("generic.jsonl", [f"{text} {i}" for i in range(100)])
    target = write_jsonl("target.jsonl", sentences(90, seed=1, words=14))
    made(alike, target, cache, "keep")
    with pytest.raises(UserError, match=r"data\.generic: .* 80 that resemble held-out ones"):
        made(alike, target, cache)


def test_near_duplicates_are_shown_shortened(cache: Path, write_jsonl: WriteJsonl) -> None:
    own = sentences(120, seed=1, words=14)
    target = write_jsonl("target.jsonl", [*own, *map(edited, own)])
    prepared = made(write_jsonl("generic.jsonl", sentences(300, words=14)), target, cache)
    console = Console(width=400, record=True, file=StringIO())
    console.print(describe_data("own", prepared, 1, SHOWN))
    shown = console.export_text()
    assert "near-duplicates removed" in shown
    lines = [line for line in shown.splitlines() if line.startswith("removed from")]
    assert lines
    for line in lines:
        assert "removed from target_train, " in line
        texts = line.split(": ", 1)[1].split(" | ")
        assert [len(text) for text in texts] == [EXAMPLE_CHARACTERS + 2] * 2
