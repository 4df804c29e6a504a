"""Methods over all pairs, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.report.results.numbers import Numbers, load_numbers
from benchmark.report.statistics.pooled import compare, compare_pairwise
from benchmark.report.tables.blocks import Block
from benchmark.report.tables.pairwise_blocks import attainable, matrices, p_matrix, significance
from benchmark.report.tables.pairwise_blocks import tests_of as couples_of
from benchmark.report.tables.pooled_blocks import mean_ranks, pooled_changes
from benchmark.report.tables.write import write_tables

Build = Callable[..., Path]
NAN = float("nan")
THREE = ["pretraining", "dds", "soba"]


def over_targets(*methods: list[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Losses (methods, pairs, 1 seed)."""
    return np.array(methods)[:, :, None]


def rows_of(block: Block) -> dict[str, list[str]]:
    return {name: [cell.text for cell in cells] for name, cells in block.rows}


def studied(build: Build, targets: int) -> Numbers:
    """dds below pretraining by .10, .11 ... of its logarithm, mixing about as low as dds."""
    names = [f"target{number}" for number in range(targets)]
    losses = {}
    for place, name in enumerate(names):
        logs = {"pretraining": 1.0, "dds": 0.9 - 0.01 * place, "mixing": 0.9 - 0.01 * place}
        logs["mixing"] += (0.012 + 0.003 * place) * (-1) ** place
        for method, value in logs.items():
            losses[name, method, 0] = (float(np.exp(value)), float(np.exp(value)))
    methods = ("pretraining", "dds", "mixing")
    return load_numbers(build(methods=methods, targets=names, test_losses=losses))


def test_methods_over_targets_by_hand() -> None:
    losses = over_targets([2.0, 4.0, 1.0, 8.0], [1.0, 2.0, 0.5, 4.0], [1.0, 8.0, NAN, NAN])
    base, half, third = compare(THREE, losses, "pretraining")
    assert (half.pairs, half.best_on, half.rank, half.ranked_pairs) == (4, 4, 1.25, 2)
    assert half.log_ratio == pytest.approx(-np.log(2))
    # The same ratio on four targets leaves no doubt; halved here and doubled there leaves all.
    assert (half.interval_over, half.low, half.high) == pytest.approx(
        ("targets", -np.log(2), -np.log(2))
    )
    assert third.log_ratio == pytest.approx(0.0)
    assert (third.interval_over, third.tied) == ("none", None)
    assert np.isnan(third.high)
    assert (half.p, third.p, half.p_holm, third.p_holm) == (0.125, 1.0, 0.25, 1.0)
    assert (half.best, base.best, base.tied) == (True, False, False)
    assert np.isnan(base.p)


def test_seeds_are_paired_before_they_are_averaged() -> None:
    losses = np.array([[[2.0, 8.0]], [[1.0, NAN]], [[NAN, 16.0]]])
    _, dds, soba = compare(THREE, losses, "pretraining")
    assert (dds.log_ratio, soba.log_ratio) == pytest.approx((-np.log(2), np.log(2)))


def test_with_few_targets_the_interval_is_over_seeds() -> None:
    rng = np.random.default_rng(0)
    losses = np.exp(0.01 * rng.normal(size=(3, 2, 6)))
    losses[1] *= 0.9
    _, dds, soba = compare(THREE, losses, "pretraining")
    assert (dds.interval_over, soba.interval_over) == ("seeds", "seeds")
    assert dds.high < 0
    assert soba.low < 0 < soba.high
    assert soba.tied is False


def test_every_two_methods_by_hand() -> None:
    # Differences of logarithms: dds lower on all six; soba on five, higher by the least on one.
    steps = np.array([1.0, 2, 3, 4, 5, 6]) / 10
    signs = np.array([-1.0, 1, 1, 1, 1, 1])
    frame = compare_pairwise(
        THREE, over_targets([1.0] * 6, list(np.exp(-steps)), list(np.exp(-steps * signs)))
    )
    tests = couples_of(frame)
    assert list(zip(tests["method"], tests["other"], strict=True)) == [
        ("pretraining", "dds"),
        ("pretraining", "soba"),
        ("dds", "soba"),
    ]
    # Of 64 signs: all alike 2; rank sums of at most 1, 4; and one difference that is not 0.
    np.testing.assert_allclose(tests["p"], [2 / 64, 4 / 64, 1.0])
    np.testing.assert_allclose(tests["p_holm"], [3 * 2 / 64, 2 * 4 / 64, 1.0])
    np.testing.assert_allclose(tests["improvement"], [0, 1 / 6, (1 + 5 * 0.5) / 6])
    np.testing.assert_allclose(tests["log_ratio"], [0.35, 0.35 - 0.2 / 6, -0.2 / 6])
    assert attainable(tests) == (2 / 64, 6 / 64)
    mirrored = frame.set_index(["method", "other"])
    assert mirrored.loc[("soba", "dds"), "improvement"] == pytest.approx(1 - 3.5 / 6)
    matrix = rows_of(p_matrix("title", frame, ()))
    assert matrix["soba"] == ["0.125", "1.000", "-"]


def test_methods_that_share_no_pair_are_not_tested() -> None:
    frame = compare_pairwise(THREE, over_targets([1.0, 1.0], [0.5, NAN], [NAN, 0.5])).set_index(
        ["method", "other"]
    )
    assert frame.loc[("dds", "soba"), "pairs"] == 0
    assert np.isnan(frame.loc[("dds", "soba"), "p_holm"])
    assert frame.loc[("pretraining", "dds"), "p_holm"] == 1.0


def test_changes_and_intervals_over_targets(build: Build) -> None:
    block = pooled_changes(studied(build, 5), list(studied(build, 5).measures[:1]))
    rows = rows_of(block)
    # Mean of -.10 ... -.14.
    assert rows["dds"][0] == f"{100 * np.expm1(-0.12):+.1f}%"
    assert rows["pretraining"] == ["0.0%", "-"]
    low, high = (float(part.strip("%")) for part in rows["dds"][1].split(" to "))
    assert low < -11.3 < high < 0
    cells = dict(block.rows)
    assert cells["dds"][0].best
    assert cells["mixing"][0].tied
    assert not cells["pretraining"][0].tied
    notes = " ".join(block.notes)
    assert "over other targets like these" in notes
    assert "Underlined: tied with it" in notes


def test_without_an_interval_nothing_is_underlined_and_it_says_so(build: Build) -> None:
    numbers = studied(build, 2)
    block = pooled_changes(numbers, list(numbers.measures))
    assert not any(cell.tied for _, cells in block.rows for cell in cells)
    notes = " ".join(block.notes)
    assert "none; 2 targets with 1 seed bound nothing" in notes
    assert "Nothing is underlined" in notes


def test_a_method_that_lacks_a_run_is_neither_best_nor_tied_and_says_how_many(
    build: Build,
) -> None:
    losses = {("awsdocs", "dds", seed): (0.1, 0.1) for seed in (0, 1)}
    folder = build(
        methods=("pretraining", "mixing", "dds"),
        targets=("awsdocs",),
        seeds=(0, 1, 2),
        failed=[("awsdocs", "dds", 2)],
        test_losses=losses,
    )
    numbers = load_numbers(folder)
    block = pooled_changes(numbers, list(numbers.measures[:1]))
    cells = dict(block.rows)
    assert cells["dds"][0].text.endswith("% (2/3)")
    assert not cells["dds"][0].best
    assert cells["mixing"][0].best
    assert "over n of the m runs that pretraining has" in block.notes[-1]


def test_ranks_leave_out_what_has_no_loss(build: Build) -> None:
    runs = [("awsdocs", "dds", 0), ("gutenberg", "dds", 0)]
    numbers = load_numbers(build(methods=("pretraining", "mixing", "dds"), failed=runs))
    block = mean_ranks(numbers, list(numbers.measures[:1]))
    assert rows_of(block) == {
        "pretraining": ["2.00", "0"],
        "mixing": ["1.00", "2"],
        "dds": ["-", "0"],
    }
    assert "(2 as trained)" in block.notes[0]


def test_too_few_targets_print_the_smallest_p_and_no_matrix(build: Build) -> None:
    numbers = studied(build, 3)
    block = significance(numbers)
    assert rows_of(block)["as trained"][:4] == ["3", "3", "0.25", "0.75"]
    assert "Too few targets for any significance, so no table of p-values: as trained" in " ".join(
        block.notes
    )
    assert all(b.title.endswith("probability of improvement") for b in matrices(numbers))


def test_enough_targets_print_the_matrix(build: Build) -> None:
    numbers = studied(build, 8)
    titles = [block.title for block in matrices(numbers)]
    assert "Every two methods, as trained: p-values after Holm" in titles
    # 2 / 256 for each of two, times 3 and then 2, raised to the one before.
    row = rows_of(significance(numbers))["as trained"]
    assert row == ["8", "3", "0.0078", "0.023", "0.008", "0.023", "2"]


def test_further_csv_files_hold_every_loss_and_every_comparison(build: Build) -> None:
    folder = build(methods=("pretraining", "dds"), seeds=(0, 1), pending=[("awsdocs", "dds", 1)])
    numbers = load_numbers(folder)
    write_tables(numbers, folder)
    points = pd.read_csv(folder / "table-points.csv")
    assert len(points) == 4 * 2 * 2 * 2
    assert points["loss"].isna().sum() == 4
    pooled = pd.read_csv(folder / "table-pooled.csv").set_index(["measure", "method"])
    losses = points[points["measure"] == "trained"].pivot_table(
        index=["target", "seed"], columns="method", values="loss"
    )
    ratios = np.log(losses["dds"] / losses["pretraining"]).dropna().groupby("target").mean()
    assert pooled.loc[("trained", "dds"), "log_ratio"] == pytest.approx(ratios.mean())
    pairwise = pd.read_csv(folder / "table-pairwise.csv")
    assert set(pairwise["measure"]) == {"trained", "fine_tuned", "equal_flops", "equal_seconds"}


def test_a_single_method_has_tables_too(build: Build) -> None:
    folder = build(methods=("random",), targets=("awsdocs",))
    assert write_tables(load_numbers(folder), folder)
