"""The static classifier filter: what it keeps, what it costs, what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from baselines.filters.classifier_filter import ClassifierFilter
from baselines.row_text import NgramFeatures, NgramSettings, WordFeatures, spellings, texts
from benchmark.api.state import restore, state_of
from benchmark.core.errors import UserError
from tests.baselines.tasks import (
    MakeTask,
    TextRows,
    batches,
    build,
    byte_rows,
    harbour_share,
    make_task,
    prepared,
)


def test_prefers_rows_like_the_target(corpora_tasks: MakeTask) -> None:
    assert harbour_share(prepared(ClassifierFilter, corpora_tasks())) > 0.95


def test_keeps_the_highest_scores() -> None:
    """One half of the corpus is the target's own text."""
    task = make_task(TextRows(["rose " * 5] * 16 + ["ship " * 5] * 16), byte_rows(["ship"] * 9, 48))
    kept = state_of(prepared(ClassifierFilter, task, keep=0.5))["kept"]
    assert kept.tolist() == list(range(16, 32))


def test_sees_words_that_no_short_ngram_tells_apart() -> None:
    """One pair of words in two orders, the ends hidden by a frame; n-grams here are letters."""
    told, untold = ("<sea air bad>", "<bad air sea>")
    task = make_task(TextRows([untold] * 16 + [told] * 16), byte_rows([told] * 9, 48))
    letters: dict[str, Any] = {"keep": 0.5, "ngrams": {"shortest": 1, "longest": 1}}
    kept = state_of(prepared(ClassifierFilter, task, **letters))["kept"]
    assert kept.tolist() == list(range(16, 32))
    blind = state_of(prepared(ClassifierFilter, task, **letters, longest_phrase=0))["kept"]
    assert blind.tolist() == list(range(16)), "all alike, so the first are kept"


def test_words_are_those_of_the_text() -> None:
    rows = byte_rows(["Ship, ship; caf\u00e9", ""], 24)
    counts = WordFeatures(make_task(TextRows(["x"] * 8), rows), 2, 2**16)(rows)
    assert counts.sum(1).tolist() == [[5 + 4], [0]]
    once = WordFeatures(make_task(TextRows(["x"] * 8), rows), 1, 2**16)(rows)
    assert once.nnz == 5, "Ship and ship are two words"


def test_works_on_rows_of_tokens() -> None:
    rng = np.random.default_rng(0)
    rows = TextRows([""] * 40, 16)
    rows.array = np.concatenate([rng.integers(1, 500, (20, 16)), rng.integers(500, 999, (20, 16))])
    target = rng.integers(500, 999, (300, 16))
    task = make_task(rows, target, vocabulary_size=1000)
    assert state_of(prepared(ClassifierFilter, task, keep=0.5))["kept"].min() == 20


def test_all_rows_may_be_kept(corpora_tasks: MakeTask) -> None:
    made = prepared(ClassifierFilter, corpora_tasks(), keep=1.0)
    assert state_of(made)["kept"].tolist() == list(range(len(made.task.generic)))


def test_less_than_one_batch_is_refused(corpora_tasks: MakeTask) -> None:
    with pytest.raises(UserError, match=r"classifier_filter: keep 0\.001 .* raise keep"):
        build(ClassifierFilter, corpora_tasks(), keep=0.001)


def test_selection_is_a_function_of_the_seed(corpora_tasks: MakeTask) -> None:
    settings = {"generic_rows": 200}
    first, again, other = (
        state_of(prepared(ClassifierFilter, corpora_tasks(seed=seed), **settings))["kept"]
        for seed in (0, 0, 1)
    )
    assert first.equal(again)
    assert not first.equal(other)


def test_goes_on_from_its_state_without_preparing(corpora_tasks: MakeTask) -> None:
    whole = prepared(ClassifierFilter, corpora_tasks())
    resumed = build(ClassifierFilter, corpora_tasks())
    restore(resumed, state_of(whole))
    assert batches(resumed).equal(batches(whole))


def test_the_bill_grows_with_the_fit(corpora_tasks: MakeTask) -> None:
    small, large = (
        prepared(ClassifierFilter, corpora_tasks(), generic_rows=count).task.meter.bill()
        for count in (100, 1000)
    )
    assert 0 < small.parts["preparation"] < large.parts["preparation"]
    assert small.target_passes == 1


@pytest.mark.parametrize(
    ("bad", "key"),
    [
        ({"generic_rows": 0}, "generic_rows"),
        ({"inverse_regularisation": 0.0}, "inverse_regularisation"),
        ({"ngrams": {"longest": 3}}, "give both shortest and longest"),
        ({"ngrams": {"shortest": 4, "longest": 3}}, "shortest 4 is above longest 3"),
        ({"ngrams": {"bucket": 3}}, "bucket"),
    ],
)
def test_bad_hyperparameters_are_named(bad: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        ClassifierFilter.Hyperparameters.model_validate(bad)


def test_byte_rows_as_text_and_as_spelling() -> None:
    rows = byte_rows(["café", "x"], 4)  # The edge cuts the two bytes of é.
    task = make_task(TextRows(["x"] * 8), rows)
    assert texts(task, rows) == ["caf\ufffd", "x"]
    assert spellings(task, rows) == ["cafÃ", "x"]


def test_ngrams_of_bytes_and_of_tokens() -> None:
    rows = np.array([[1, 2, 1, 2, 0]])
    settings = NgramSettings(shortest=1, longest=2)
    for vocabulary_size in (256, 300):
        task = make_task(TextRows(["x"] * 8), rows, vocabulary_size=vocabulary_size)
        counts = NgramFeatures(task, settings)(rows)
        assert sorted(counts.data.tolist()) == [1, 2, 2, 2], "2 1; 1, 2, and 1 2 twice"
