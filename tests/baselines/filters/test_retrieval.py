"""Retrieval: ranks against hand and the formula, what is selected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from baselines.filters.retrieval import Retrieval, best_ranked
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

SMALL: dict[str, Any] = {"components": 8, "ngrams": {"buckets": 4096}}


def unit(degrees: list[float]) -> np.ndarray:
    """Unit vectors in the plane at these angles."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_order_by_hand() -> None:
    """Each of two target rows has its own nearest; both rank the row between them second."""
    generic, target = unit([2, 45, 91, 180]), unit([0, 90])
    # Ranks: 1 2 3 4 by the first, 3 2 1 4 by the second; the row at 91 degrees is the nearest.
    assert best_ranked(generic, target, 1).tolist() == [2, 0, 1, 3]
    # Mean logarithms over both: log2(3) / 2, 1, log2(3) / 2, 2.
    assert best_ranked(generic, target, 2).tolist() == [2, 0, 1, 3]
    # A third row near the first: means over the two best are 0, 1 and log2(3) / 2.
    assert best_ranked(generic, unit([0, 90, 1]), 2).tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize("neighbours", [1, 3, 40])
def test_order_is_the_formulas(neighbours: int) -> None:
    """By every rank at once, over more target rows than a block."""
    rng = np.random.default_rng(0)
    generic, target = rng.normal(size=(200, 5)), rng.normal(size=(40, 5))
    cosines = target @ generic.T
    ranks = 1 + np.argsort(np.argsort(-cosines, axis=1), axis=1)
    score = np.log2(1 / np.sort(ranks, axis=0)[:neighbours]).mean(0).round(9)
    by_hand = sorted(range(200), key=lambda row: (-score[row], -cosines[:, row].max()))
    assert best_ranked(generic, target, neighbours).tolist() == by_hand


@pytest.mark.parametrize("neighbours", [1, 4])
def test_prefers_rows_like_the_target(corpora_tasks: MakeTask, neighbours: int) -> None:
    made = prepared(Retrieval, corpora_tasks(), neighbours=neighbours, **SMALL)
    assert harbour_share(made) > 0.95


def test_more_neighbours_than_target_rows_are_refused() -> None:
    task = make_task(TextRows(["ship"] * 10), byte_rows(["ship"] * 8, 48))
    with pytest.raises(UserError, match=r"neighbours 9 must be at most the 8 rows"):
        build(Retrieval, task, keep=1.0, neighbours=9)


def test_the_bill_counts_pairs_and_target_passes(corpora_tasks: MakeTask) -> None:
    made = prepared(Retrieval, corpora_tasks(), **SMALL)
    bill, task = made.task.meter.bill(), made.task
    assert bill.target_passes == 1
    assert bill.parts["preparation"] > 2 * 8 * task.target_size * len(task.generic)
