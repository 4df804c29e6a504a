"""GREATS: the greedy rule by hand, its gains against gradients taken one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from baselines.online.greats import Greats, greedy
from benchmark.api import flat_row_gradients
from tests.baselines.tasks import MakeTask, build, harbour_share


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_greedy_by_hand() -> None:
    """The second row is the first again: after it, the weaker third is worth more."""
    gains = torch.tensor([3.0, 2.9, 1.0, -1.0])
    products = torch.tensor(
        [[2.0, 2.0, 0.0, -5.0], [2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [-5.0, 0.0, 0.0, 9.0]]
    )
    assert greedy(gains, products, 3).tolist() == [0, 3, 2]
    assert greedy(gains, 0.1 * products, 3).tolist() == [0, 1, 2]
    assert greedy(gains, None, 3).tolist() == [0, 1, 2]


@pytest.mark.usefixtures("float64")
def test_rule_is_the_sources(corpora_tasks: MakeTask) -> None:
    """On gradients taken row by row, with the step that the rows taken before make together."""
    task = corpora_tasks()
    step, rate = 2, 100 * task.learning_rate(2)
    chosen = build(Greats, task, redundancy=100.0, downsampling=4).batch(step).positions
    big = task.big_batch(step, 4)
    g, _, _ = flat_row_gradients(task.model, big.rows)
    s = flat_row_gradients(task.model, task.target_batch(step, stream="outer").rows)[0].mean(0)
    total, left, expected = torch.zeros_like(s), list(range(len(big))), []
    for _ in range(task.batch_size):
        best = max(left, key=lambda i: float(g[i] @ s - rate * (g[i] @ total)))
        left.remove(best)
        expected.append(best)
        total += g[best]
    assert chosen.tolist() == big.positions[expected].tolist()
    first_order = build(Greats, task, redundancy=0.0, downsampling=4).batch(step).positions
    assert first_order.tolist() == big.positions[(g @ s).topk(8).indices].tolist()
    assert set(first_order) != set(chosen), "redundancy matters here"


def test_rows_chosen_are_more_aligned_than_rows_offered(corpora_tasks: MakeTask) -> None:
    made = build(Greats, corpora_tasks(), downsampling=8)
    made.batch(0)
    figures = made.observe(0)
    assert figures["alignment/chosen"] > figures["alignment/offered"]


def test_finds_rows_like_the_target(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    assert harbour_share(build(Greats, task, downsampling=8)) > 0.5
    assert task.meter.bill().target_passes == pytest.approx(12 * 8 / task.target_size)
