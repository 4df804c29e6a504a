"""Statistics against hand-computed numbers and independent implementations."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.report.statistics.estimates import (
    average_ranks,
    holm,
    log_ratios,
    mean_over_seeds,
    pairwise_tests,
    performance_profile,
    probability_of_improvement,
    ratios_to_best,
    wilcoxon,
)

NAN = float("nan")
differences = st.lists(st.integers(-6, 6), min_size=1, max_size=9)


def test_log_ratios_and_their_means_over_the_seeds_that_both_have() -> None:
    losses = [[2.0, 1.0, 4.0], [1.0, NAN, 1.0]]
    reference = [[1.0, 1.0, NAN], [2.0, 2.0, 4.0]]
    ratios = log_ratios(losses, reference)
    two = np.log(2)
    np.testing.assert_allclose(ratios, [[two, 0, NAN], [-two, NAN, -2 * two]])
    np.testing.assert_allclose(mean_over_seeds(ratios), [two / 2, -1.5 * two])
    assert np.isnan(mean_over_seeds([[NAN, NAN]])).all()


def test_a_ratio_needs_positive_losses_of_the_same_runs() -> None:
    with pytest.raises(ValueError, match=r"must be positive.*-1\.0"):
        log_ratios([1.0, -1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"of shape \(2,\), the reference's of \(3,\)"):
        log_ratios([1.0, 1.0], [1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("pairs", "p"), [(1, 1.0), (3, 0.25), (6, 0.03125), (10, 2 / 1024), (20, 2.0**-19)]
)
def test_all_differences_of_one_sign_give_the_smallest_p_possible(pairs: int, p: float) -> None:
    assert wilcoxon(-np.arange(1.0, pairs + 1)) == pytest.approx(p, rel=1e-12)


@pytest.mark.parametrize("pairs", [4, 9, 10, 25, 50])
def test_without_ties_it_is_scipys_exact_test(pairs: int) -> None:
    values = np.random.default_rng(pairs).normal(0.3, 1, pairs)
    assert wilcoxon(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)


@given(differences)
def test_with_ties_it_counts_the_signs_that_are_as_extreme(values: list[int]) -> None:
    kept = np.array([value for value in values if value != 0], dtype=float)
    ranks = stats.rankdata(np.abs(kept))
    sums = [float(np.dot(ranks, signs)) for signs in product([0, 1], repeat=kept.size)]
    seen = float(ranks[kept > 0].sum())
    extreme = min(seen, float(ranks.sum()) - seen)
    expected = min(1.0, 2 * float(np.mean([total <= extreme for total in sums])))
    assert wilcoxon(values) == pytest.approx(expected)


def test_zeros_and_missing_differences_do_not_count() -> None:
    assert wilcoxon([0.0, 1, 2, 3, NAN, 0.0]) == wilcoxon([1, 2, 3]) == 0.25
    assert wilcoxon([0.0, 0.0]) == wilcoxon([]) == 1.0


def test_holm_by_hand() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, the last raised to .06.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1.0, 1.0])
    np.testing.assert_allclose(holm([NAN, 0.02, 0.04]), [NAN, 0.04, 0.04])
    np.testing.assert_allclose(holm([[0.5, 0.01], [NAN, 0.4]]), [[0.8, 0.03], [NAN, 0.8]])
    assert holm([]).size == 0
    with pytest.raises(ValueError, match=r"between 0 and 1, got \[1\.5\]"):
        holm([1.5])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_rule_rejects(values: list[float]) -> None:
    # At the level .05, hypotheses fall in order of p until one exceeds .05 over those left.
    order = np.argsort(values, kind="stable")
    rejected = np.zeros(len(values), dtype=bool)
    for position, index in enumerate(order):
        if values[index] * (len(values) - position) > 0.05:
            break
        rejected[index] = True
    np.testing.assert_array_equal(holm(values) <= 0.05, rejected)


def test_every_two_methods_are_compared_on_the_pairs_that_both_have() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 8)) + np.array([[0.0], [0.5], [3.0]])
    scores[1, 2] = NAN
    tests = pairwise_tests(scores[..., None])
    assert tests.pairs.tolist() == [[8, 7, 8], [7, 7, 7], [8, 7, 8]]
    shared = [0, 1, 3, 4, 5, 6, 7]
    expected = stats.wilcoxon(scores[0, shared], scores[1, shared], method="exact").pvalue
    assert tests.p[0, 1] == pytest.approx(expected)
    upper = np.triu_indices(3, 1)
    np.testing.assert_allclose(tests.adjusted[upper], holm(tests.p[upper]))
    np.testing.assert_array_equal(tests.adjusted, tests.adjusted.T)
    assert np.isnan(np.diag(tests.p)).all()


def test_a_pair_differs_by_what_the_seeds_of_both_say() -> None:
    scores = np.array([[[0.0, 5.0]], [[1.0, NAN]], [[NAN, 9.0]]])
    tests = pairwise_tests(scores)
    assert tests.pairs.tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 1]]
    assert np.isnan(tests.p[1, 2])
    assert (tests.p[0, 1], tests.adjusted[0, 1]) == (1.0, 1.0)


def test_beyond_the_exact_distribution_it_is_scipys_approximation() -> None:
    values = np.random.default_rng(0).normal(0.1, 1, 300)
    expected = stats.wilcoxon(values, method="exact").pvalue
    assert wilcoxon(values) == pytest.approx(expected, rel=0.01)


def test_probability_of_improvement_by_hand() -> None:
    # Of 2 x 2 couples on the first pair 3 wins and a tie; on the second no win.
    assert probability_of_improvement([[3, 2], [0, 0]], [[1, 2], [1, 1]]) == (3.5 / 4 + 0) / 2
    assert probability_of_improvement([[1.0]], [[1.0]]) == 0.5
    assert probability_of_improvement([[2, NAN], [NAN, NAN]], [[1, 3], [0, 0]]) == 0.5
    assert np.isnan(probability_of_improvement([[NAN]], [[1.0]]))
    with pytest.raises(ValueError, match="of 1 pairs, the others of 2"):
        probability_of_improvement([[1]], [[1], [2]])


def test_probability_of_improvement_is_the_mean_of_mann_whitneys_u() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = rng.integers(0, 9, (5, 4)), rng.integers(0, 9, (5, 6))
    shares = [
        stats.mannwhitneyu(x, y, alternative="greater").statistic / 24
        for x, y in zip(ours, theirs, strict=True)
    ]
    assert probability_of_improvement(ours, theirs) == pytest.approx(np.mean(shares))


def test_profiles_and_ranks_by_hand() -> None:
    losses = np.array([[1.0, 2.0, 3.0, NAN], [2.0, 2.0, 1.5, 1.0], [1.5, 8.0, 3.0, 2.0]])
    ratios = ratios_to_best(losses)
    np.testing.assert_allclose(ratios, [[1, 1, 2, NAN], [2, 1, 1, 1], [1.5, 4, 2, 2]])
    profile = performance_profile(ratios, [1.0, 1.5, 2.0, 4.0])
    expected = [[0.5, 0.5, 0.75, 0.75], [0.75, 0.75, 1.0, 1.0], [0.0, 0.25, 0.75, 1.0]]
    np.testing.assert_allclose(profile, np.array(expected))
    # The last pair lacks a method; ranks 1 3 2, 1.5 1.5 3 and 2.5 1 2.5 are left.
    np.testing.assert_allclose(average_ranks(losses), [5 / 3, 5.5 / 3, 7.5 / 3])
    assert np.isnan(average_ranks([[NAN], [1.0]])).all()
