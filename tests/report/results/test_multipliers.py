"""Compute multipliers from records, and what tables make of those that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.report.results.numbers import load_numbers
from benchmark.report.tables.write import markdown_table, write_tables

Build = Callable[..., Path]
Lines = list[dict[str, Any]]
TWO = {"methods": ("pretraining", "random"), "targets": ("awsdocs",)}


def changed(results: Path, method: str, change: Callable[[Lines], Lines]) -> Path:
    """The folder, the evaluations while training of a method's runs changed."""
    for file in results.glob(f"runs/*-{method}-*/metrics.jsonl"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        trained = [line for line in lines if line["stage"] == "trained"]
        kept = [*change(trained), *(line for line in lines if line["stage"] != "trained")]
        file.write_text("".join(json.dumps(line) + "\n" for line in kept))
    return results


def like_pretraining(times: float) -> Callable[[Lines], Lines]:
    """The losses of pretraining, at a cost so many times less."""

    def change(lines: Lines) -> Lines:
        for line in lines:
            loss = 2 + 3 * (max(line["step"], 1) / 400) ** -0.5
            line |= {"valid_loss": loss, "flops": line["step"] * 1e9 / times}
        return lines

    return change


def found(results: Path) -> pd.DataFrame:
    write_tables(load_numbers(results), results)
    frame = pd.read_csv(results / "table-multipliers.csv", keep_default_na=False)
    return frame.set_index(["target", "method", "quantity"]).sort_index()


def row(results: Path) -> list[str]:
    """Cells of ``random`` in the table of multipliers."""
    text = markdown_table(load_numbers(results)).split("## Compute multiplier")[1]
    line = next(line for line in text.splitlines() if line.startswith("| random |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_half_the_cost_is_a_multiplier_of_two(build: Build) -> None:
    results = changed(build(**TWO), "pretraining", like_pretraining(1))
    frame = found(changed(results, "random", like_pretraining(2)))
    assert float(frame.loc[("awsdocs", "random", "flops"), "factor"]) == pytest.approx(2.0)
    assert float(frame.loc[("awsdocs", "random", "step"), "factor"]) == pytest.approx(1.0)
    assert row(results)[:2] == ["2.00", "1.00"]


def test_what_is_never_reached_or_at_once_is_said(build: Build) -> None:
    results = changed(build(**TWO), "random", lambda lines: lines[-1:])
    # random ends above pretraining.
    assert row(results)[:3] == ["not reached"] * 3
    low = changed(results, "random", lambda lines: [line | {"valid_loss": 1.0} for line in lines])
    assert row(low)[:3] == [">0.91", ">1.00", ">0.93"]


def test_pretraining_that_rises_or_has_one_evaluation_is_named(build: Build) -> None:
    def rise(lines: Lines) -> Lines:
        return [line | {"valid_loss": 2 + line["step"] / 400} for line in lines]

    results = build(**TWO)
    single = changed(results, "pretraining", lambda lines: lines[-1:])
    text = markdown_table(load_numbers(single))
    assert "pretraining on awsdocs, seed 0: nothing is extrapolated: a fit takes 4" in text
    results = changed(build(**TWO), "pretraining", rise)
    text = markdown_table(load_numbers(results))
    assert "pretraining on awsdocs, seed 0: no multiplier: it ends with a higher" in text
    assert row(results) == ["-"] * 4


def test_without_pretraining_a_line_says_that_there_are_none(build: Build) -> None:
    results = build(methods=("random", "mixing"))
    text = markdown_table(load_numbers(results))
    assert "## Compute multiplier" not in text
    assert "no compute multipliers: the study has no pretraining" in text
    assert found(results).empty


def test_pending_and_failed_runs_leave_seeds_out(build: Build) -> None:
    results = build(**TWO, seeds=(0, 1), pending=[("awsdocs", "random", 1)])
    assert row(results)[0].endswith("(1/2)")
    gone = build(**TWO, failed=[("awsdocs", "pretraining", 0)])
    assert row(gone) == ["-"] * 4
