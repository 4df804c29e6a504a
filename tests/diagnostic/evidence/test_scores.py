"""Scores of predictions, by hand, against scikit-learn and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from benchmark.diagnostic.evidence.scores import (
    SCORES,
    accuracy,
    difference,
    rank_correlation,
    resampled_counts,
    roc_auc,
    score,
)

CHANCE = np.array([0.9, 0.6, 0.5, 0.4, 0.2])
ONCE = np.ones((1, 5))
GAIN = np.array([0.1, -0.1, 0.2, -0.3, 0.1])


def test_accuracy_by_hand() -> None:
    assert accuracy(CHANCE, GAIN, ONCE) == pytest.approx((1 + 0 + 0.5 + 1 + 0) / 5)


def test_auc_and_correlation_against_libraries() -> None:
    rng = np.random.default_rng(1)
    chance, gain = rng.integers(0, 8, 50) / 8, rng.normal(size=50)
    once = np.ones((1, 50))
    assert roc_auc(chance, gain, once) == pytest.approx(roc_auc_score(gain > 0, chance))
    found = rank_correlation(chance, gain, once)
    assert found == pytest.approx(spearmanr(chance, gain).statistic)


def test_counts_are_like_copies() -> None:
    rng = np.random.default_rng(4)
    chance, gain = rng.integers(0, 6, 20) / 6, rng.normal(size=20)
    counts = rng.integers(0, 4, (1, 20)).astype(float)
    copied = np.repeat(np.arange(20), counts[0].astype(int))
    once = np.ones((1, len(copied)))
    for measure in SCORES.values():
        found = measure(chance, gain, counts)
        assert found == pytest.approx(measure(chance[copied], gain[copied], once))


def test_undefined_where_all_answers_are_the_same() -> None:
    assert np.isnan(roc_auc(CHANCE, np.ones(5), ONCE))
    assert np.isnan(rank_correlation(np.ones(5), GAIN, ONCE))
    groups = np.array(list("abcde"))
    found = score("ROC AUC", CHANCE, np.ones(5), resampled_counts(groups, 10))
    assert np.isnan([found.value, found.low, found.high]).all()


def test_targets_are_drawn_whole() -> None:
    groups = np.repeat(["a", "b", "c"], [2, 3, 1])
    for counts in resampled_counts(groups, 50):
        assert len(set(counts[:2])) == len(set(counts[2:5])) == 1
        assert counts[0] + counts[2] + counts[5] == 3


def test_bounds_are_wider_for_cells_that_go_together() -> None:
    rng = np.random.default_rng(2)
    effect = np.repeat(rng.normal(size=12), 6)
    gain, chance = effect, 1 / (1 + np.exp(-effect - np.repeat(rng.normal(size=12), 6)))
    together = score("Spearman", chance, gain, resampled_counts(np.repeat(list("abcdefghijkl"), 6)))
    apart = score("Spearman", chance, gain, resampled_counts(np.arange(72).astype(str)))
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
    assert together.low < together.value < together.high


def test_difference_is_that_of_the_scores() -> None:
    resamples = resampled_counts(np.array(list("abcde")), 100)
    for name, measure in SCORES.items():
        found = difference(name, CHANCE, CHANCE[::-1], GAIN, resamples)
        assert found.value == pytest.approx(
            measure(CHANCE, GAIN, ONCE) - measure(CHANCE[::-1], GAIN, ONCE)
        )
        same = difference(name, CHANCE, CHANCE, GAIN, resamples)
        assert (same.value, same.low, same.high) == (0, 0, 0)
