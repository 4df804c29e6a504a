"""Two methods compared: by hand-made losses whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import UserError
from benchmark.report.compare.comparison import compare
from benchmark.report.compare.text import paragraph, points, write_comparison
from benchmark.report.results.inputs import load_results

Build = Callable[..., Path]
A, B = "dds", "mixing"
Losses = dict[tuple[str, str, int], tuple[float, float]]


def losses(ratios: dict[tuple[str, int], float]) -> Losses:
    """Losses of 2.0 for B and 2.0 times the ratio for A, by target and seed."""
    return {(target, A, seed): (2 * r, 2 * r) for (target, seed), r in ratios.items()} | {
        (target, B, seed): (2.0, 2.0) for target, seed in ratios
    }


def built(build: Build, targets: int, seeds: int, ratio: Callable[[int, int], float]) -> Path:
    names = [f"target{number}" for number in range(targets)]
    ratios = {(t, s): ratio(n, s) for n, t in enumerate(names) for s in range(seeds)}
    return build(targets=names, seeds=range(seeds), methods=(A, B), test_losses=losses(ratios))


def test_many_targets_give_an_interval_over_targets_and_a_test(build: Build) -> None:
    results = load_results(built(build, 7, 2, lambda n, s: 0.9 + 0.01 * n + 0.001 * s))
    stage = compare(results, A, B).stages[0]
    by_hand = np.mean([math.log(0.9 + 0.01 * n + 0.001 * s) for n in range(7) for s in range(2)])
    assert stage.mean == pytest.approx(by_hand)
    assert (stage.kind, stage.certainty) == ("targets", "better")
    assert stage.p == pytest.approx(2 / 2**7)
    assert stage.improvement == 1.0
    text = paragraph(compare(results, A, B), results)
    assert "As trained: yes." in text
    assert "p = 0.016" in text


def test_the_other_way_round_is_the_opposite(build: Build) -> None:
    results = load_results(built(build, 7, 2, lambda n, s: 0.9 + 0.01 * n + 0.001 * s))
    one, other = compare(results, A, B).stages[0], compare(results, B, A).stages[0]
    assert other.certainty == "worse"
    assert other.mean == pytest.approx(-one.mean)
    assert other.p == one.p
    assert "As trained: no, worse." in paragraph(compare(results, B, A), results)


def test_few_targets_say_that_no_significance_can_be_had(build: Build) -> None:
    results = load_results(built(build, 2, 3, lambda n, s: 0.9 + 0.01 * n + 0.002 * s))
    comparison = compare(results, A, B)
    assert comparison.stages[0].p is None
    assert comparison.stages[0].kind == "seeds"
    text = paragraph(comparison, results)
    assert "2 targets are too few for any significance" in text
    assert "other seeds on the same targets" in text
    _, rows = points(comparison, results)
    assert len(rows) == 2 * 2 * 3
    assert rows[0] == ("as trained", "target0", "0", "1.800", "2.000", "-10.00%")


def test_one_seed_on_two_targets_bounds_nothing(build: Build) -> None:
    results = load_results(built(build, 2, 1, lambda n, _: 0.9 + 0.01 * n))
    comparison = compare(results, A, B)
    assert comparison.stages[0].interval is None
    assert comparison.stages[0].certainty == "undecided"
    assert "no interval: 2 targets with 1 seed bound nothing" in paragraph(comparison, results)


def test_runs_without_a_result_are_left_out_and_named(build: Build) -> None:
    results = load_results(
        build(methods=(A, B), seeds=(0, 1), failed=[("awsdocs", A, 0), ("gutenberg", A, 0)])
    )
    text = paragraph(compare(results, A, B), results)
    assert "Left out for lack of a result: 2 of 4 comparisons; failed runs: 2 of dds." in text


def test_both_files_and_the_same_again(build: Build) -> None:
    folder = built(build, 3, 2, lambda n, s: 0.95 + 0.04 * n + 0.01 * s)
    results = load_results(folder)
    comparison = compare(results, A, B)
    before = {f: f.read_bytes() for f in write_comparison(comparison, results, folder)}
    assert {file.name for file in before} == {
        f"compare-{A}-{B}.{ending}" for ending in ("md", "png", "pdf")
    }
    assert {f: f.read_bytes() for f in write_comparison(comparison, results, folder)} == before


@pytest.mark.parametrize(
    ("a", "b", "problem"),
    [
        ("ddss", B, r"unknown method 'ddss' \(did you mean 'dds'"),
        (A, A, "given twice"),
    ],
)
def test_bad_methods(build: Build, a: str, b: str, problem: str) -> None:
    results = load_results(built(build, 1, 1, lambda *_: 1.0))
    with pytest.raises(UserError, match=problem):
        compare(results, a, b)
