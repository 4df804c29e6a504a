"""Tier 0: n-grams, stand-ins, documents; what is known of made-up and of tiny real text."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.errors import UserError
from benchmark.data import PreparedData
from benchmark.diagnostic.cheap import ngram_counts
from benchmark.diagnostic.documents import folds, halves
from benchmark.diagnostic.recommend.choosing import CHOOSERS, best
from benchmark.diagnostic.recommend.ngrams import NgramModel, hashed_counts
from benchmark.diagnostic.recommend.text import (
    OTHERS,
    POOL,
    SAMPLE,
    auc_by_document,
    require_documents,
    text_measures,
)

ROWS = np.array([[1, 2, 1, 2, 3, 0], [2, 1, 2, 2, 0, 0], [3, 3, 1, 2, 1, 2]])


def chance_by_hand(rows: np.ndarray, vocabulary: int, context: list[int], token: int) -> float:
    """Witten and Bell's recursion as it is written, with dictionaries."""
    chance = 1 / vocabulary
    for length in range(len(context) + 1):
        wanted = context[len(context) - length :]
        after = Counter(
            int(row[at])
            for row in rows
            for at in range(len(row))
            if row[at] > 0
            and [0] * max(0, length - at) + row[max(0, at - length) : at].tolist() == wanted
        )
        total, kinds = sum(after.values()), len(after)
        if total:
            chance = (after[token] + kinds * chance) / (total + kinds)
    return chance


def test_chances_are_those_of_witten_and_bell() -> None:
    model = NgramModel(ROWS, 4)
    seen = np.array([[1, 2, 3, 1, 1, 0]])
    losses = [
        -np.log(chance_by_hand(ROWS, 4, ([0, 0, 0, 0, *seen[0, :at].tolist()])[-4:], seen[0, at]))
        for at in range(5)
    ]
    assert model.loss(seen) == pytest.approx(np.mean(losses))


@given(st.permutations(range(3)))
def test_the_order_of_rows_changes_no_model(order: list[int]) -> None:
    assert NgramModel(ROWS[order], 4).loss(ROWS) == pytest.approx(NgramModel(ROWS, 4).loss(ROWS))


def test_counts_are_of_as_many_ngrams_as_the_usual_ones() -> None:
    ours, theirs = hashed_counts(ROWS, (1, 3)), ngram_counts(ROWS, (1, 3))
    assert ours.sum(axis=1).tolist() == theirs.sum(axis=1).tolist()
    assert sorted(ours.data) == sorted(theirs.data)
    assert (hashed_counts(-ROWS, (1, 2)) != hashed_counts(ROWS, (1, 2))).nnz == 0


@given(st.lists(st.integers(0, 6), min_size=2, max_size=40))
def test_no_document_is_in_two_halves(names: list[int]) -> None:
    documents = np.array(names)
    found = halves(documents, np.random.default_rng(0))
    assert sorted([*found.first, *found.second]) == list(range(len(names)))
    assert found.by_document == (len(set(names)) > 1)
    if found.by_document:
        assert not set(documents[found.first]) & set(documents[found.second])
        largest = max(Counter(names).values())
        assert abs(len(found.first) - len(found.second)) <= largest


def test_folds_are_even_and_hold_whole_documents() -> None:
    documents = np.repeat(np.arange(20), 3)
    fold = folds(documents, 5, np.random.default_rng(0))
    assert np.bincount(fold).tolist() == [12] * 5
    assert all(len(set(fold[documents == name])) == 1 for name in range(20))


def test_a_classifier_is_not_asked_about_documents_that_it_knows() -> None:
    """Each document has words of its own and nothing else tells target from generic text."""
    rng = np.random.default_rng(0)
    documents = np.repeat(np.arange(20), 10)
    words = 10 + 8 * documents[:, None] + rng.integers(0, 8, (200, 12))
    generic = 10 + 8 * (20 + documents[:, None]) + rng.integers(0, 8, (200, 12))
    by_document = auc_by_document(words, documents, generic, documents, rng)
    by_row = auc_by_document(words, np.arange(200), generic, np.arange(200), rng)
    assert by_row > 0.99
    assert by_document < 0.7


def test_uneven_documents_do_not_hide_a_difference() -> None:
    """With nearly all rows of one document, the classes' shares differ much between folds."""
    rng = np.random.default_rng(0)
    even, uneven = np.repeat(np.arange(2), 50), np.repeat(np.arange(2), [95, 5])
    origins = np.repeat(np.arange(20), 5)
    target, generic = rng.integers(10, 60, (100, 12)), rng.integers(20, 70, (100, 12))
    by_even = auc_by_document(target, even, generic, origins, rng)
    by_uneven = auc_by_document(target, uneven, generic, origins, rng)
    assert by_even > 0.85
    assert by_uneven > 0.8
    alike = rng.integers(10, 60, (100, 12))
    assert 0.3 < auc_by_document(alike, uneven, target, origins, rng) < 0.7


@pytest.mark.parametrize("name", CHOOSERS)
def test_choosers_find_planted_rows(name: str, data: PreparedData) -> None:
    everything = np.arange(len(data.generic))
    harbour = data.generic.domains(everything) == data.generic.domain_names.index("harbour")
    pool = data.generic.tokens(everything)
    target = data.target_train.tokens(np.arange(60))
    scores = CHOOSERS[name](target, pool[::7], pool, np.random.default_rng(0))
    assert harbour[best(scores, 100)].mean() > 0.9


class Counting:
    """A view that counts the rows read of it, and offers as many as it is told."""

    def __init__(self, view: Any, size: int | None = None) -> None:
        self.view, self.size, self.read = view, size or len(view), 0

    def __len__(self) -> int:
        return self.size

    def __getattr__(self, name: str) -> Any:
        return getattr(self.view, name)

    def tokens(self, positions: np.ndarray) -> np.ndarray:
        self.read += len(positions)
        return np.asarray(self.view.tokens(positions % len(self.view)))

    def documents(self, positions: np.ndarray) -> np.ndarray:
        return np.asarray(self.view.documents(positions % len(self.view)))


def test_measures_of_a_planted_target(data: PreparedData) -> None:
    hidden: Any = None
    seen = replace(data, target_valid=hidden, target_test=hidden, generic_valid=hidden)
    found = text_measures("harbour", seen)
    assert found == text_measures("harbour", seen)
    assert found["stand_in_classifier"] > 0.03
    assert found["stand_in_importance"] > 0.03
    assert found["classifier_auc"] > 0.8
    assert found["ngram_divergence"] > 0.05


@pytest.mark.slow
def test_what_is_read_does_not_grow_with_the_corpus(data: PreparedData) -> None:
    generic: Any = Counting(data.generic, 10_000_000)
    text_measures("harbour", replace(data, generic=generic))
    assert generic.read <= 2 * SAMPLE + POOL + OTHERS


def test_what_cannot_be_measured_is_refused() -> None:
    rows, documents = {"target_train": 100, "generic": 200}, {"target_train": 2}
    require_documents("harbour", rows, documents)
    with pytest.raises(UserError, match=r"targets\.harbour\.train: 100 rows of it are of one doc"):
        require_documents("harbour", rows, {"target_train": 1})
    with pytest.raises(UserError, match=r"data\.generic: its 150 rows are fewer than two for each"):
        require_documents("harbour", rows | {"generic": 150}, documents)
