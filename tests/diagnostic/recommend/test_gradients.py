"""Tier 1: measures of made-up gradients, and of a tiny pretrained model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.api.cost import CostMeter
from benchmark.data import PreparedData
from benchmark.diagnostic.documents import Halves
from benchmark.diagnostic.gradients import RowGradients
from benchmark.diagnostic.pretrained import Checkpoint
from benchmark.diagnostic.recommend.gradients import (
    EPSILON,
    Probed,
    checkpoint_shares,
    draw,
    gradient_measures,
    measures_at,
    preconditioner,
)


def gradients(values: torch.Tensor) -> RowGradients:
    count = len(values)
    return RowGradients(values, torch.zeros(count), torch.full((count,), 1 / count), "vmap")


@pytest.fixture
def made_up() -> tuple[RowGradients, RowGradients, Probed]:
    """Of 160 generic rows, the first ten point where the target does; text finds other ten."""
    random = torch.Generator().manual_seed(0)
    generic = torch.randn(160, 40, generator=random)
    generic[:10, 0] += 4
    target = 0.3 * torch.randn(20, 40, generator=random)
    target[:, 0] += 2
    split = Halves(np.arange(10), np.arange(10, 20), by_document=True)
    wrong, right = np.arange(100, 110), np.arange(10)
    chosen = {"classifier": (right, right), "importance": (wrong, wrong)}
    probed = Probed(torch.zeros(160, 4), torch.zeros(20, 4), split, chosen)
    return gradients(generic), gradients(target), probed


def test_batches_that_point_to_the_target_are_told_from_others(
    made_up: tuple[RowGradients, RowGradients, Probed],
) -> None:
    generic, target, probed = made_up
    found = measures_at(generic, target, probed, 16, 0)
    assert found["alignment_gradient"] > 0.3
    assert found["alignment_classifier"] > 0.3
    assert abs(found["alignment_importance"]) < 0.2
    mean = generic.values.mean(dim=0)
    halves = [target.values[:10].mean(dim=0), target.values[10:].mean(dim=0)]
    cosines = [torch.cosine_similarity(mean, half, dim=0) for half in halves]
    assert found["gradient_cosine"] == pytest.approx(float(sum(cosines)) / 2, rel=1e-5)


def test_the_scale_and_the_order_of_rows_change_nothing(
    made_up: tuple[RowGradients, RowGradients, Probed],
) -> None:
    generic, target, probed = made_up
    here = measures_at(generic, target, probed, 16, 0)
    longer = gradients(3 * target.values)
    assert measures_at(generic, longer, probed, 16, 0) == pytest.approx(here, rel=1e-4)
    order = torch.cat([torch.arange(10).flip(0), torch.arange(10, 20).flip(0)])
    turned = measures_at(generic, gradients(target.values[order]), probed, 16, 0)
    assert turned == pytest.approx(here, rel=1e-4, abs=1e-6)


def test_the_second_moment_is_that_of_a_batch() -> None:
    """Against Adam's, of many batches that are really drawn."""
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(400, 3, generator=random) * torch.tensor([1.0, 3.0, 0.1]) + 0.5
    batches = rows[torch.randint(400, (20_000, 16), generator=random)].mean(dim=1)
    expected = 1 / ((batches**2).mean(dim=0).sqrt() + EPSILON)
    assert preconditioner(gradients(rows), 16) == pytest.approx(expected, rel=0.03)


def test_checkpoints_are_different_steps() -> None:
    assert [share * 1000 for share in checkpoint_shares(1000)] == pytest.approx([80, 100, 120])
    assert [share * 12 for share in checkpoint_shares(12)] == pytest.approx([1])
    assert [share * 30 for share in checkpoint_shares(30)] == pytest.approx([2, 3, 4])


def test_a_real_model_sees_a_planted_target(
    model: nn.Module, data: PreparedData, checkpoints: list[Checkpoint]
) -> None:
    meter, probed = CostMeter(), draw("harbour", data, 0, "cpu")
    few = replace(probed, generic=probed.generic[:256], chosen={})
    found, how = gradient_measures(model, few, checkpoints[:1], 8, 0, meter)
    assert how == "vmap"
    assert set(found) == {"gradient_cosine", "alignment_gradient"}
    assert found["alignment_gradient"] > 0.05
    assert meter.bill().flops > 0
    assert gradient_measures(model, few, checkpoints[:1], 8, 0, meter)[0] == found
