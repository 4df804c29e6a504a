"""Counter-based orders: permutations, the same from anywhere, uniform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.randomness import BlockOrder, EpochOrder, derived_key, generator


@given(size=st.integers(1, 3000), epoch=st.integers(0, 5), seed=st.integers(0, 2**31))
def test_each_epoch_is_a_permutation(size: int, epoch: int, seed: int) -> None:
    items = EpochOrder(size, seed, "test").items(epoch * size, size)
    assert sorted(items.tolist()) == list(range(size))


@given(size=st.integers(1, 500), start=st.integers(0, 2000), count=st.integers(0, 60))
def test_any_window_is_the_same(size: int, start: int, count: int) -> None:
    order = EpochOrder(size, 3, "window")
    one_by_one = [int(order.items(place, 1)[0]) for place in range(start, start + count)]
    assert order.items(start, count).tolist() == one_by_one


def test_orders_are_uniform() -> None:
    """Each item is equally likely at each place: chi-square over 6,000 orders of 12 items."""
    size, orders = 12, 6000
    counts = np.zeros((size, size))
    for seed in range(orders):
        counts[np.arange(size), EpochOrder(size, seed).items(0, size)] += 1
    expected = orders / size
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = (size - 1) ** 2
    assert abs(chi_square - freedom) < 5 * np.sqrt(2 * freedom)


def test_epochs_and_seeds_differ() -> None:
    first = EpochOrder(1000, 0, "a").items(0, 1000)
    assert (first != EpochOrder(1000, 0, "a").items(1000, 1000)).mean() > 0.99
    assert (first != EpochOrder(1000, 1, "a").items(0, 1000)).mean() > 0.99
    assert (first != EpochOrder(1000, 0, "b").items(0, 1000)).mean() > 0.99


def test_generators_depend_on_all_parts_only() -> None:
    assert generator(1, 2, "x").random() == generator(1, 2, "x").random()
    keys = {derived_key(*parts) for parts in ((1, 2, "x"), (1, 2, "y"), (1, 3, "x"), (2, 2, "x"))}
    assert len(keys) == 4
    assert derived_key(1, 12, "x") != derived_key(11, 2, "x")


@pytest.mark.parametrize(("size", "block", "front"), [(120, 24, 4), (132, 24, 4), (40, 80, 8)])
def test_fronts_of_blocks_meet_every_item_once_before_any_twice(
    size: int, block: int, front: int
) -> None:
    """Three rounds; blocks that divide the corpus, that do not, and that are larger than it."""
    order = BlockOrder(size, block, front, 7)
    blocks = [order.items(step * block, block) for step in range(3 * size // front)]
    for read in (front, block):
        met = np.concatenate([items[:read] for items in blocks])
        for epoch in met.reshape(-1, size):
            assert sorted(epoch.tolist()) == list(range(size))


@given(size=st.integers(1, 400), block=st.integers(1, 90), front=st.integers(1, 90))
def test_fronts_of_any_blocks(size: int, block: int, front: int) -> None:
    front = min(front, block)
    order = BlockOrder(size, block, front, 7)
    steps = size // front
    met = np.concatenate([order.items(step * block, front) for step in range(max(1, steps))])
    assert len(np.unique(met)) == min(len(met), size)
    for epoch in range(2 * block // front + 1):
        assert sorted(order.items(epoch * size, size).tolist()) == list(range(size))
    assert order.items(0, size).tolist() == EpochOrder(size, 7).items(0, size).tolist()


@given(size=st.integers(1, 300), start=st.integers(0, 3000), count=st.integers(1, 60))
def test_any_window_of_blocks_is_the_same(size: int, start: int, count: int) -> None:
    order = BlockOrder(size, 12, 3, 1)
    one_by_one = [int(order.items(place, 1)[0]) for place in range(start, start + count)]
    assert order.items(start, count).tolist() == one_by_one


def test_blocks_of_later_epochs_are_mixed_anew() -> None:
    """Rows that met in a block do not stay together: as many pairs meet again as by chance."""
    order = BlockOrder(1200, 24, 4, 0)
    blocks = [
        {tuple(sorted(block.tolist())) for block in order.items(epoch * 1200, 1200).reshape(-1, 24)}
        for epoch in range(3)
    ]
    for first, second in ((0, 1), (1, 2)):
        overlaps = [len({*a} & {*b}) for a in blocks[first] for b in blocks[second]]
        assert np.mean(overlaps) == pytest.approx(24 * 24 / 1200)
        assert max(overlaps) <= 6
