"""Moore-Lewis: the n-gram model against hand and another implementation, what is selected."""

from __future__ import annotations

import math

import numpy as np
import pytest

from baselines.filters.moore_lewis import MooreLewis, NgramModel
from benchmark.core.errors import UserError
from tests.baselines.tasks import (
    MakeTask,
    TextRows,
    build,
    byte_rows,
    harbour_share,
    make_task,
    prepared,
)

ROWS = [("a", "b", "a"), ("a", "", "b", "a"), ("b",)]


def test_probabilities_by_hand() -> None:
    """a 4, b 3, unknown 1; a is followed by b and by unknown once each, by nothing twice."""
    model = NgramModel(ROWS, order=2, size=3)
    of_b = (3 - 0.5 + 0.5 * 3 / 3) / 8
    assert model.probability(("b",), 0.5) == pytest.approx(of_b)
    assert model.probability(("a", "b"), 0.5) == pytest.approx((1 - 0.5 + 0.5 * 2 * of_b) / 2)
    of_a = (4 - 0.5 + 0.5 * 3 / 3) / 8
    assert model.probability(("a", "a"), 0.5) == pytest.approx(0.5 * 2 * of_a / 2)
    expected = -(math.log(of_b) + math.log((2 - 0.5 + 0.5 * of_a) / 2)) / 2
    assert model.cross_entropy(("b", "a"), 0.5) == pytest.approx(expected)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_probabilities_sum_to_one_after_any_context(order: int) -> None:
    model = NgramModel(ROWS, order, size=3)
    for context in [(), ("a",), ("b", "a"), ("", "b", "a"), ("", ""), ("b", "b", "b", "a")]:
        total = sum(model.probability((*context, word), 0.7) for word in ("a", "b", ""))
        assert total == pytest.approx(1)


def test_longer_contexts_than_the_order_do_not_count() -> None:
    model = NgramModel(ROWS, order=2, size=3)
    assert model.probability(("", "b", "a"), 0.7) == model.probability(("b", "a"), 0.7)


def test_differences_are_those_of_two_models_over_the_targets_vocabulary() -> None:
    target = ["anchor keel", "anchor buoy", "keel anchor"]
    generic = ["anchor keel", "rose rose rose"]
    task = make_task(TextRows(generic), byte_rows(target, 48), batch_size=1)
    found = build(MooreLewis, task, keep=1.0, order=1, discount=0.5).differences()
    # Seen: anchor 3, keel 2, unknown 1 of 6; and anchor 1, keel 1, unknown 3 of 5. Each leaves
    # half a count a kind to the uniform share, which gives it back.
    inside, outside = np.array([3, 2, 1]) / 6, np.array([1, 1, 3]) / 5
    by_word = np.log(outside) - np.log(inside)
    np.testing.assert_allclose(found, [by_word[:2].mean(), by_word[2]])


def test_rows_without_words_come_last() -> None:
    task = make_task(TextRows(["   ", "rose", "ship"] * 4), byte_rows(["ship"] * 8, 48))
    made = prepared(MooreLewis, task, keep=8 / 12)
    assert made.kept.tolist() == [1, 2, 4, 5, 7, 8, 10, 11]


def test_prefers_rows_like_the_target(corpora_tasks: MakeTask) -> None:
    assert harbour_share(prepared(MooreLewis, corpora_tasks())) > 0.95


def test_a_target_without_a_repeated_word_is_refused() -> None:
    task = make_task(TextRows(["ship rose"] * 10), byte_rows(["ship", "rose"], 48))
    with pytest.raises(UserError, match=r"least_count 2 .* 2 rows of the target sample: lower"):
        prepared(MooreLewis, task, keep=1.0)
    prepared(MooreLewis, task, keep=1.0, least_count=1)


def test_the_bill_counts_words_and_target_passes(corpora_tasks: MakeTask) -> None:
    short, long = (
        prepared(MooreLewis, corpora_tasks(), order=order).task.meter.bill() for order in (1, 4)
    )
    assert short.target_passes == 1
    assert 0 < 4 * short.parts["preparation"] == long.parts["preparation"]
