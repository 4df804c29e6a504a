"""Runs whose selection has collapsed are marked wherever their losses stand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

from benchmark.report.figures.panels import method_handles
from benchmark.report.figures.style import method_styles
from benchmark.report.html.runs import runs_grid
from benchmark.report.results.collapse import collapsed_places
from benchmark.report.results.inputs import load_results
from benchmark.report.results.numbers import load_numbers
from benchmark.report.tables.write import csv_table, latex_table, markdown_table
from benchmark.study.collapse import MARK

Build = Callable[..., Path]
PLACE = ("mini", "awsdocs", "dds")


def collapsed(results: Path, rows: float, *seeds: int) -> Path:
    """The folder, dds on awsdocs weighing so many rows at the last evaluation of these seeds."""
    for seed in seeds:
        (file,) = results.glob(f"runs/mini-awsdocs-dds-s{seed}-*/metrics.jsonl")
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        last = [line for line in lines if line["stage"] == "trained"][-1]
        last["weights_entropy"] = math.log(rows)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return results


def test_fewer_effective_rows_than_a_batch_at_the_last_evaluation(build: Build) -> None:
    results = build(seeds=(0, 1), targets=("awsdocs",))
    assert collapsed_places(load_results(results)) == {}
    assert collapsed_places(load_results(collapsed(results, 32.0, 0))) == {}
    (found,) = collapsed_places(load_results(collapsed(results, 31.5, 1))).items()
    assert found[0] == PLACE
    assert (found[1].seeds, list(found[1].rows)) == (2, [1])


def test_a_table_marks_its_losses_and_says_of_how_many_seeds(build: Build) -> None:
    numbers = load_numbers(collapsed(build(seeds=(0, 1)), 1.5, 1))
    markdown = markdown_table(numbers)
    rows = [line for line in markdown.splitlines() if line.startswith("| dds |")]
    cells = rows[0].split("|")
    assert [MARK in cell for cell in cells[2:6]] == [True, True, False, False]
    assert "(dds on awsdocs: 1 of 2 seeds, 1.5 rows)" in markdown
    every_seed = rows[1].split("|")
    assert [MARK in cell for cell in every_seed[2:10]] == [False, True, False, True] + 4 * [False]
    assert r"\ddag{}" in latex_table(numbers)
    assert csv_table(numbers).splitlines()[0].endswith("collapsed_seeds")
    clean = markdown_table(load_numbers(collapsed(build(seeds=(0, 1)), 64.0, 1)))
    assert MARK not in clean


def test_the_report_lists_effective_rows_of_runs_that_weigh_any(build: Build) -> None:
    grid = runs_grid(load_results(collapsed(build(targets=("awsdocs",)), 1.5, 0)))
    place = [column.name for column in grid.columns].index("effective rows")
    found = {row[2].text: row[place] for row in grid.rows}
    assert found["dds"].text == f"1.5 of 32 {MARK}"
    assert found["dds"].number == "1.5"
    assert {cell.text for method, cell in found.items() if method != "dds"} == {""}


def test_legends_mark_the_method_and_explain_the_mark(build: Build) -> None:
    results = load_results(collapsed(build(targets=("awsdocs",)), 1.5, 0))
    handles = method_handles(results, ["dds", "random"], method_styles(results.methods), line=True)
    names = [handle.get_label() for handle in handles]
    assert names == [f"dds {MARK}", "random", f"{MARK} selection collapsed"]
