"""Who is tied with the best of a column, against intervals worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmark.report.results.numbers import load_numbers
from benchmark.report.statistics.estimates import Array
from benchmark.report.statistics.ties import ties_over_seeds
from benchmark.report.tables.study_blocks import build_blocks
from benchmark.report.tables.write import markdown_table, write_tables

Build = Callable[..., Path]
NAN = float("nan")
NOISE = np.array([0.05, -0.04, 0.02, -0.03, 0.01, -0.01])


def losses_of(*log_losses: Array) -> Array:
    """Losses (methods, 1 pair, seeds)."""
    return np.exp(np.stack(log_losses))[:, None, :]


def test_a_difference_that_every_seed_shows_is_no_tie_and_one_that_some_reverse_is() -> None:
    # Paired differences to the best: .100 +- .001 on every seed, and .01 on the mean of +- .05.
    steady = 0.1 + 0.001 * np.array([1, -1, 1, -1, 1, -1])
    unsteady = 0.01 + 0.05 * np.array([1, -1, 1, -1, 1, -1])
    ties = ties_over_seeds(losses_of(NOISE, NOISE + steady, NOISE + unsteady))
    assert ties.best[:, 0].tolist() == [True, False, False]
    assert ties.tied[:, 0].tolist() == [False, False, True]
    assert ties.known.all()


def test_pairing_by_seed_decides() -> None:
    # Unpaired, .03 is well within seeds that differ by .3; paired, every difference is near .03.
    wide = np.array([0.0, 0.3, 0.1, 0.2, -0.1, 0.15])
    off = wide + 0.03 + 0.001 * np.array([1, -1, 1, -1, 1, -1])
    assert stats.ttest_ind(wide, off).pvalue > 0.5
    assert not ties_over_seeds(losses_of(wide, off)).tied.any()


def test_no_tie_is_claimed_where_students_interval_excludes_the_best() -> None:
    # Mean .02, deviation .01, six seeds: t = .02 / (.01 / 6 ** .5) = 4.9, more than 2.57.
    difference = 0.02 + 0.01 * stats.zscore([1.0, -1, 1, -1, 1, -1], ddof=1)
    ties = ties_over_seeds(losses_of(NOISE, NOISE + difference))
    assert not ties.tied.any()
    # Mean .005: t = 1.2.
    ties = ties_over_seeds(losses_of(NOISE, NOISE + difference - 0.015))
    assert ties.tied[1, 0]


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_too_few_seeds_cannot_tell(seeds: int) -> None:
    ties = ties_over_seeds(losses_of(NOISE[:seeds], NOISE[:seeds] + 0.5))
    assert ties.best[:, 0].tolist() == [True, False]
    assert ties.known[:, 0].tolist() == [True, False]
    assert not ties.tied.any()


def test_a_method_without_all_seeds_is_neither_best_nor_tied() -> None:
    missing = NOISE - 1.0
    missing[2] = NAN
    ties = ties_over_seeds(losses_of(NOISE, missing, NOISE + 0.2))
    assert ties.best[:, 0].tolist() == [True, False, False]
    assert ties.known[:, 0].tolist() == [True, False, True]
    assert not ties_over_seeds(np.full((2, 1, 5), NAN)).best.any()


def test_the_same_losses_are_both_best() -> None:
    ties = ties_over_seeds(losses_of(NOISE, NOISE, NOISE + 1))
    assert ties.best[:, 0].tolist() == [True, True, False]


@pytest.fixture
def six_seeds(build: Build) -> Path:
    """mixing is best on awsdocs, random tied with it, dds far off."""
    found = {"mixing": NOISE, "random": NOISE + 0.01 + NOISE[::-1], "dds": NOISE + 0.3}
    losses = {
        ("awsdocs", method, seed): (float(np.exp(value)), 2.0)
        for method, values in found.items()
        for seed, value in enumerate(values)
    }
    methods = ("pretraining", "random", "mixing", "dds")
    return build(methods=methods, seeds=range(6), targets=("awsdocs",), test_losses=losses)


def test_the_tied_are_underlined_everywhere_and_the_rule_says_how(six_seeds: Path) -> None:
    numbers = load_numbers(six_seeds)
    markdown = markdown_table(numbers)
    assert "| random | <ins>1.01" in markdown
    assert "| mixing | **1.00" in markdown
    assert "| dds | 1.35" in markdown
    assert "over the 6 seeds (paired by seed; bootstrap-t" in markdown
    write_tables(numbers, six_seeds)
    assert r"\underline{1.01" in (six_seeds / "table.tex").read_text(encoding="utf-8")
    assert 'class="number tied"' in (six_seeds / "table.html").read_text(encoding="utf-8")


def test_the_csv_says_who_is_best_and_tied(six_seeds: Path) -> None:
    rows = load_numbers(six_seeds).summary.set_index(["method", "stage"])
    flags = rows.loc[["random", "mixing", "dds"], ["test_loss_best", "test_loss_tied"]]
    trained = flags.xs("trained", level="stage")
    assert trained["test_loss_best"].tolist() == [False, True, False]
    assert trained["test_loss_tied"].tolist() == [True, False, False]
    fine_tuned = flags.xs("fine_tuned", level="stage")
    assert fine_tuned["test_loss_best"].tolist() == [True, True, True]


@pytest.mark.parametrize(("seeds", "shown"), [(1, 0), (2, 2), (3, 2), (4, 0)])
def test_every_point_of_a_few_seeds_is_shown(build: Build, seeds: int, shown: int) -> None:
    numbers = load_numbers(build(methods=("pretraining", "dds"), seeds=range(seeds)))
    tables = [b for b in build_blocks(numbers, 2) if b.title.endswith("of every seed")]
    assert len(tables) == shown
    if shown:
        (name, cells), *_ = tables[0].rows
        assert (name, len(cells)) == ("pretraining", 2 * seeds)
        # Seed 1: 2.32, what is left of the first loss, and what test adds to valid.
        assert cells[1].text == f"{2.32 + (5.55 - 2.32) * np.exp(-6) + 0.01:.3f}"
