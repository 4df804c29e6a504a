"""Files and terminal tables made from a results folder."""

from __future__ import annotations

import io
import math
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from benchmark.core.errors import UserError
from benchmark.report.results.numbers import load_numbers
from benchmark.report.tables.write import terminal_table, write_tables

Build = Callable[..., Path]


def written(results: Path) -> list[Path]:
    return write_tables(load_numbers(results), results)


def csv_of(results: Path) -> pd.DataFrame:
    written(results)
    frame = pd.read_csv(results / "table.csv")
    return frame.set_index(["target", "method", "stage"]).sort_index()


def markdown_of(results: Path) -> str:
    written(results)
    return (results / "table.md").read_text(encoding="utf-8")


def row_of(markdown: str, method: str, table: int = 0) -> list[str]:
    """Cells of a method's row in one of the tables."""
    rows = [line for line in markdown.splitlines() if line.startswith(f"| {method} |")]
    return [cell.strip() for cell in rows[table].strip("|").split("|")]


def terminal_of(results: Path, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(terminal_table(load_numbers(results)))
    return stream.getvalue()


def test_csv_holds_the_numbers_of_the_records(build: Build) -> None:
    losses = {("awsdocs", "dds", seed): (2.0 + seed, 1.0 + seed) for seed in (0, 1, 2)}
    rows = csv_of(build(seeds=(0, 1, 2), test_losses=losses))
    assert len(rows) == 2 * 6 * 2
    trained = rows.loc[("awsdocs", "dds", "trained")]
    assert (trained["test_loss_mean"], trained["test_loss_sd"], trained["seeds"]) == (3.0, 1.0, 3)
    assert rows.loc[("awsdocs", "dds", "fine_tuned"), "test_loss_mean"] == 2.0
    assert trained["flops"] == 400 * 3 * 4.2e10
    assert trained["flops_ratio"] == pytest.approx(3.0)
    assert trained["seconds_per_step"] == pytest.approx(0.126 + 0.01)
    assert trained["equal_flops_budget"] == 400 * 4.2e10
    assert trained["equal_flops_last_step"] == 100
    # dds takes .136 s a step, pretraining .052: 152.9 of 400 steps, evaluated every 50.
    assert trained["equal_seconds_budget"] == pytest.approx(400 * 0.052)
    assert trained["equal_seconds_last_step"] == 150
    assert trained["commit"] == "0123456789abcdef0123456789abcdef01234567"


def test_equal_cost_numbers_are_those_of_the_last_affordable_evaluation(build: Build) -> None:
    rows = csv_of(build())
    # dds costs three times as much: 133 of 400 steps, evaluated at 50 and 100.
    expected = 2.12 + (5.55 - 2.12) * math.exp(-6 * 100 / 400)
    loss = rows.loc[("awsdocs", "dds", "trained"), "equal_flops_valid_loss_mean"]
    assert loss == pytest.approx(expected)
    at_150 = 2.12 + (5.55 - 2.12) * math.exp(-6 * 150 / 400)
    loss = rows.loc[("awsdocs", "dds", "trained"), "equal_seconds_valid_loss_mean"]
    assert loss == pytest.approx(at_150)


def test_markdown_marks_the_best_complete_mean_and_gives_its_rules(build: Build) -> None:
    markdown = markdown_of(build(seeds=(0, 1, 2)))
    assert row_of(markdown, "mixing")[1].startswith("**2.0")
    assert "cannot be told from 3 seeds; it takes 4" in markdown
    assert "<ins>" not in markdown.split("## Loss against")[0]
    assert "±" in row_of(markdown, "mixing")[1]
    for rule in (
        "Test loss (nats/byte) at equal steps",
        "As trained: last step. After fine-tuning: best step on valid, step 0 included",
        "test is read only at the end of a stage",
        "do not exceed those that pretraining has",
        "Seeds: 0, 1, 2",
        "400 steps of 32 rows, 1,024 generic rows offered",
        "model mini: 118,016 parameters",
        "rows for awsdocs: generic 123,456, target train 2,000",
        "commit: 01234567",
        "protocol: ",
        "Example CPU",
    ):
        assert rule in markdown
    assert "## Missing" not in markdown


def test_failed_and_pending_runs_are_shown_with_their_reason(build: Build) -> None:
    results = build(
        seeds=(0, 1),
        failed=[("awsdocs", "dds", 0), ("awsdocs", "dds", 1), ("awsdocs", "mixing", 1)],
        pending=[("gutenberg", "random", 0), ("gutenberg", "random", 1)],
    )
    markdown = markdown_of(results)
    assert row_of(markdown, "dds")[1:3] == ["failed (step 150)"] * 2
    assert row_of(markdown, "random")[3:5] == ["pending"] * 2
    # One seed of two: marked, and not the best although it is the lowest.
    assert re.fullmatch(r"2\.\d{3} \(1/2\)", row_of(markdown, "mixing")[1])
    assert "failed: dds on awsdocs, seed 0 at step 150: the loss is not finite" in markdown
    assert "pending: random on gutenberg, seed 0, 1" in markdown
    assert "failed (step 150)" in terminal_of(results)


def test_pairs_whose_pretraining_is_pending_have_no_equal_cost(build: Build) -> None:
    results = build(pending=[("awsdocs", "pretraining", 0)])
    markdown = markdown_of(results)
    for table in (1, 2):
        assert row_of(markdown, "dds", table)[1:3] == ["-", "-"]
        assert row_of(markdown, "dds", table)[3] != "-"
    assert "no budget: pretraining on awsdocs has no result yet" in markdown


def test_a_study_without_pretraining_says_so(build: Build) -> None:
    markdown = markdown_of(build(methods=("random", "mixing"), targets=("awsdocs",)))
    assert "the cheapest method with a result" in markdown
    assert ": ratio" not in markdown
    assert "Loss against random" in markdown
    assert "the study's first method, as it has no pretraining" in markdown


def test_pretraining_may_have_another_label(build: Build) -> None:
    markdown = markdown_of(build(methods=("plain=pretraining", "mixing")))
    assert "those that plain has at the end of its training" in markdown


def test_regenerated_files_are_identical(build: Build) -> None:
    results = build(seeds=(0, 1))
    before = {file: file.read_bytes() for file in written(results)}
    assert {file.name for file in before} == {
        *(f"table.{ending}" for ending in ("md", "html", "tex", "csv")),
        *(f"table-{kind}.csv" for kind in ("points", "pooled", "pairwise", "multipliers")),
    }
    assert {file: file.read_bytes() for file in written(results)} == before
    assert not [file for file in results.iterdir() if file.name.startswith(".")]


def test_terminal_cuts_no_number_in_a_narrow_window(build: Build) -> None:
    results = build(seeds=(0, 1, 2), failed=[("awsdocs", "dds", 1)])
    shown = terminal_of(results, width=80)
    assert "…" not in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_latex_escapes_names_and_reasons(build: Build) -> None:
    results = build(failed=[("awsdocs", "dds", 0)])
    written(results)
    latex = (results / "table.tex").read_text(encoding="utf-8")
    assert r"target\_only &" in latex
    assert r"(nan) \& 100\% lost" in latex
    assert r"$\pm$" not in latex
    assert r"\times10^{13}$" in latex
    assert not re.search(r"(?<!\\)[_#]", latex)
    for row in latex.split(r"\begin{tabular}{")[1:]:
        columns = len(row.split("}")[0])
        body = row.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
        assert {line.count(" & ") for line in body} == {columns - 1}


def test_latex_compiles(build: Build, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    written(build(seeds=(0, 1), failed=[("awsdocs", "dds", 0)]))
    document = (
        "\\documentclass{article}\\usepackage{booktabs,graphicx}"
        "\\begin{document}\\input{results/table.tex}\\end{document}"
    )
    (tmp_path / "document.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_without_records_the_error_says_what_to_do(build: Build, tmp_path: Path) -> None:
    results = build(targets=("awsdocs",), methods=("random",), pending=[("awsdocs", "random", 0)])
    with pytest.raises(UserError, match="none of the 1 runs of study 'mini' has ended"):
        load_numbers(results)
    with pytest.raises(UserError, match="no results here"):
        load_numbers(tmp_path / "nothing")


def test_runs_that_all_failed_still_make_tables(build: Build) -> None:
    results = build(targets=("awsdocs",), methods=("random",), failed=[("awsdocs", "random", 0)])
    assert row_of(markdown_of(results), "random")[1:] == ["failed (step 150)"] * 2
    assert "failed (step 150)" in terminal_of(results)


@pytest.mark.slow
def test_a_thousand_runs_take_less_than_three_seconds(build: Build) -> None:
    methods = ("pretraining", *(f"m{number}=random" for number in range(9)))
    results = build(methods=methods, targets=[f"t{n}" for n in range(10)], seeds=range(10))
    # Processor time: what others do on the machine at the same time is not ours.
    began = time.process_time()
    written(results)
    assert time.process_time() - began < 3
