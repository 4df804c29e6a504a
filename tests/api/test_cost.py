"""What counting leaves behind."""

from __future__ import annotations

import weakref

import torch
from torch import nn

from benchmark.api.cost import CostMeter


def test_nothing_that_is_counted_is_kept() -> None:
    layer, alive = nn.Linear(4, 4), []

    def compute() -> None:
        for _ in range(3):
            rows = torch.ones(2, 4, requires_grad=True)
            layer(rows).sum().backward()
            alive.append(weakref.ref(rows))
            del rows
            assert alive[-1]() is None

    _, used = CostMeter().note(compute)
    # Forward, and backward to rows and weights, of 2 x 4 by 4 x 4.
    assert used["counted"] == 3 * 3 * 2 * 2 * 4 * 4
    assert len(alive) == 3
