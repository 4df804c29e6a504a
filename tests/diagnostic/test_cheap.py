"""Predictors from text and losses alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.data import PreparedData
from benchmark.diagnostic.cheap import (
    CHEAP,
    classifier_auc,
    ngram_counts,
    ngram_divergence,
    text_predictors,
)
from benchmark.diagnostic.gradients import row_gradients
from benchmark.diagnostic.probe import align, draw_probe
from benchmark.diagnostic.settings import Settings
from benchmark.models.losses import per_example_loss

RowsOf = Callable[..., np.ndarray]


@pytest.fixture
def rows_of() -> RowsOf:
    """Rows of tokens from ``low`` up to ``high``, the same for a test whichever ran before it."""
    rng = np.random.default_rng(0)
    return lambda low, high, count=200: rng.integers(low, high, (count, 32))


def test_divergence_is_a_bit_for_disjoint_text_and_nothing_for_the_same(rows_of: RowsOf) -> None:
    generic, other = rows_of(1, 9), rows_of(1, 9)
    apart = ngram_divergence(rows_of(10, 18), generic, other)
    same = ngram_divergence(rows_of(1, 9), generic, other)
    assert apart == pytest.approx(1.0, abs=0.01)
    assert same == pytest.approx(0.0, abs=0.001)


def test_small_samples_of_one_source_do_not_diverge_on_average(rows_of: RowsOf) -> None:
    draws = [[rows_of(1, 40, 10) for _ in range(3)] for _ in range(20)]
    assert np.mean([ngram_divergence(*few) for few in draws]) == pytest.approx(0.0, abs=0.03)
    assert min(ngram_divergence(one, other, other) for one, other, _ in draws) > 0.3


def test_auc_of_what_can_and_cannot_be_told_apart(rows_of: RowsOf) -> None:
    assert classifier_auc(rows_of(1, 9), rows_of(10, 18), seed=0) == 1.0
    assert classifier_auc(rows_of(1, 9), rows_of(1, 9), seed=0) == pytest.approx(0.5, abs=0.1)


def test_padding_is_no_ngram() -> None:
    counts = ngram_counts(np.array([[5, 6, 5, 6, 0, 0], [7, 0, 0, 0, 0, 0]]), (2, 2))
    assert counts.sum(axis=1).ravel().tolist() == [[3.0, 0.0]]
    assert sorted(counts[0].data.tolist()) == [1.0, 2.0]


def test_predictors_of_a_target(data: PreparedData) -> None:
    found = text_predictors(data, seed=0)
    assert found == text_predictors(data, seed=0)
    assert {*found, "loss_gap"} == set(CHEAP)
    # A third of the generic rows are about the target's subject.
    assert 0.0 < found["ngram_divergence"] < 1.0
    assert 0.6 < found["classifier_auc"] < 1.0


def test_loss_gap_is_that_of_the_rows(
    model: nn.Module, data: PreparedData, settings: Settings
) -> None:
    probe = draw_probe(data, settings, 0, "cpu")
    with torch.no_grad():
        expected = (
            per_example_loss(model, probe.target).mean()
            - per_example_loss(model, probe.generic).mean()
        )
    found = align(model, probe, "cosine", "end").loss_gap
    assert found == pytest.approx(float(expected), rel=1e-4)
    assert row_gradients(model, probe.target).losses.shape == (len(probe.target),)
