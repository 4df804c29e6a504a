"""The published comparison: every number of the paper's table, its rules, and its files."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.core.errors import UserError
from benchmark.report.paper import write
from benchmark.report.paper.figures import curves_figure, trade_off_figure
from benchmark.report.paper.numbers import as_trained, at_equal_time, value_matrix
from benchmark.report.paper.reference import METHODS, Reference, load_reference
from benchmark.report.paper.rule import Rule
from benchmark.report.paper.write import make_paper, write_paper
from benchmark.report.results.inputs import load_results
from benchmark.report.tables import rendering

Build = Callable[..., Path]
FOLDER = Path(__file__).parents[3] / "results" / "reference"
ROUNDING = 0.0005 + 1e-9
# pretraining mixing classifier cds dds soba anograd, as published.
PUBLISHED = """
reuters          1.197  .860 1.100 1.073 1.034 1.018 1.037
freelaw          1.556  .602 1.126 1.279 1.176 1.117 1.234
arxiv            1.454  .906 1.298 1.223 1.235 1.218 1.225
europarl         2.180 1.160 1.571 1.933 1.846 1.555 1.645
gutenberg        1.385  .505 1.224 1.266 1.304 1.321 1.292
opensubtitles    1.267   nan 1.256   nan 1.273 1.174 1.184
openwebtext2     1.212 1.150 1.134 1.147 1.278 1.143 1.144
pubmed_abstracts 1.088  .874  .784  .827  .828  .800  .814
stackexchange    1.327 1.075 1.178 1.119 1.129 1.150 1.147
wikipedia_en     1.110  .888  .928  .954  .994  .919  .996
"""
FINE_TUNED = {
    **{"soba": 0.8186, "dds": 0.8215, "anograd": 0.8225, "cds": 0.8299, "mixing": 0.8456},
    **{"pretraining": 0.8642, "classifier": 0.8923},
}


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load_reference(FOLDER)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the published files, to be spoilt by a test."""
    return Path(shutil.copytree(FOLDER, tmp_path / "reference"))


def published(line: str) -> tuple[str, list[float]]:
    target, *losses = line.split()
    return target, [float(loss) for loss in losses]


def test_every_cell_of_the_published_table_is_ours(reference: Reference) -> None:
    rows = dict(published(line) for line in PUBLISHED.strip().splitlines())
    assert reference.targets == list(rows)
    assert reference.methods == list(METHODS)
    ours = value_matrix(as_trained(reference, Rule.last), reference.methods, reference.targets)
    np.testing.assert_allclose(ours.T, list(rows.values()), rtol=0, atol=ROUNDING)


def test_the_cells_as_shown_are_the_published_ones(reference: Reference) -> None:
    table = make_paper(reference, Rule.last, None, None).tables[0]
    for line, (target, cells) in zip(PUBLISHED.strip().splitlines(), table.rows, strict=True):
        name, losses = published(line)
        assert target == name
        shown = [f"{loss:.3f}" if loss == loss else "-" for loss in losses]
        assert [cell.text for cell in cells] == shown
        assert [cell.text for cell in cells if cell.best] == [f"{np.nanmin(losses):.3f}"]


def test_reuters_after_fine_tuning_is_the_published_minimum(reference: Reference) -> None:
    tuned = reference.fine_tuning.set_index("method")["best_loss"].to_dict()
    assert tuned == pytest.approx(FINE_TUNED, abs=0.00005 + 1e-9)
    tables = make_paper(reference, Rule.last, None, None).tables
    (table,) = (table for table in tables if table.title.startswith("Reuters after"))
    shown = {name: cells[table.head.index("lowest") - 1].text for name, cells in table.rows}
    assert shown == {name: f"{loss:.4f}" for name, loss in FINE_TUNED.items()}


@pytest.mark.parametrize("rule", Rule)
def test_curves_agree_with_the_published_summary(reference: Reference, rule: Rule) -> None:
    final = pd.read_csv(FOLDER / "reference_final.csv").set_index("run_id")
    ours = as_trained(reference, rule).set_index("run_id")
    kind = "final" if rule is Rule.last else "best"
    theirs = final.loc[ours.index]
    np.testing.assert_allclose(ours["target_loss"], theirs[f"target_{kind}_loss"], atol=6e-6)
    np.testing.assert_array_equal(ours["step"], theirs[f"target_{kind}_step"])
    np.testing.assert_allclose(ours["perplexity"], theirs[f"target_{kind}_ppl"], atol=1e-4)
    if rule is Rule.last:
        np.testing.assert_allclose(ours["generic_loss"], theirs["c4_final_loss"], atol=6e-6)


def test_equal_time_is_the_loss_between_the_steps_that_the_budget_buys(
    reference: Reference,
) -> None:
    rows = at_equal_time(reference, Rule.last, None).set_index(["target", "method"])
    own = rows.loc[("arxiv", "pretraining")]
    assert own["budget"] == pytest.approx(300_000 / 12.1 / 3600)
    assert own["target_loss"] == pytest.approx(1.45394)
    dds = rows.loc[("arxiv", "dds")]
    assert dds["step"] == pytest.approx(300_000 * 3.2 / 12.1)
    curve = reference.curves.query("target == 'arxiv' and method == 'dds'").set_index("step")
    before, after = curve.loc[78_000, "target_loss"], curve.loc[80_000, "target_loss"]
    part = (dds["step"] - 78_000) / 2000
    assert dds["target_loss"] == pytest.approx(before + part * (after - before))
    assert not rows["ended"].any()


def test_a_budget_before_the_first_or_after_the_last_logged_step(reference: Reference) -> None:
    short = at_equal_time(reference, Rule.last, 0.1).set_index(["target", "method"])
    # 0.1 h are 612 steps of the classifier, and 4,356 of pretraining; the first logged is 2,000.
    assert np.isnan(short.loc[("arxiv", "classifier"), "target_loss"])
    assert np.isfinite(short.loc[("arxiv", "pretraining"), "target_loss"])
    long = at_equal_time(reference, Rule.last, 1000.0)
    assert long["ended"].all()
    last = as_trained(reference, Rule.last)
    pd.testing.assert_series_equal(long["target_loss"], last["target_loss"])
    (note,) = {
        note
        for table in make_paper(reference, Rule.last, 7.0, None).tables
        for note in table.notes
        if note.startswith("ended before")
    }
    assert "pretraining on arxiv" in note
    assert "dds" not in note


def test_the_best_rule_never_gives_more_than_the_last(reference: Reference) -> None:
    last, best = (as_trained(reference, rule)["target_loss"] for rule in (Rule.last, Rule.best))
    assert (best <= last).all()
    last, best = (
        at_equal_time(reference, rule, None)["target_loss"] for rule in (Rule.last, Rule.best)
    )
    assert (best <= last + 1e-12).all()


def test_every_table_states_its_rule(reference: Reference) -> None:
    for rule in Rule:
        for table in make_paper(reference, rule, None, None).tables:
            assert f"rule {rule}" in " ".join(table.notes), table.title


def test_files_are_the_same_again(reference: Reference, tmp_path: Path, build: Build) -> None:
    results = load_results(build(seeds=(0, 1)))
    made = []
    for name in ("one", "two"):
        paper = make_paper(load_reference(FOLDER), Rule.last, None, results)
        made.append(write_paper(paper, reference, tmp_path / name))
    assert {file.suffix for file in made[0]} == {".md", ".tex", ".csv", ".png", ".pdf"}
    for one, two in zip(*made, strict=True):
        assert one.name == two.name
        assert one.read_bytes() == two.read_bytes(), one.name


def test_a_former_study_is_not_left_behind(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "write_figures", lambda *_: [])
    (tmp_path / "study.csv").write_text("study\n", encoding="utf-8")
    files = write_paper(make_paper(reference, Rule.last, None, None), reference, tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_a_study_stands_beside_with_its_steps_seeds_and_commit(
    reference: Reference, build: Build
) -> None:
    losses = {("awsdocs", "dds", seed): (2.0 + seed, 1.0) for seed in (0, 1)}
    results = load_results(build(seeds=(0, 1), test_losses=losses))
    table, methods = make_paper(reference, Rule.last, None, results).tables[-2:]
    notes = " ".join(table.notes)
    for words in ("not the published ones", "400 steps", "seeds 0, 1", "commit: 01234567"):
        assert words in notes
    cells = dict(zip(table.head[1:], dict(table.rows)["awsdocs"], strict=True))
    assert cells["dds"].text == "2.500 ± 0.707"
    assert cells["soba"].text == "-"
    assert [name for name, _ in methods.rows] == ["pretraining", "mixing", "classifier", "dds"]


def test_a_study_without_pretraining_cannot_stand_beside(
    reference: Reference, build: Build
) -> None:
    results = load_results(build(methods=("random", "dds")))
    with pytest.raises(UserError, match=r"'mini' has the methods random, dds; needed: pretrain"):
        make_paper(reference, Rule.last, None, results)


def test_missing_files_columns_and_unknown_names_are_said(copied: Path) -> None:
    speeds = copied / "reference_speeds.csv"
    text = speeds.read_text(encoding="utf-8")
    for spoilt, message in (
        (text.replace("steps_per_second", "speed"), r"speeds\.csv: no column steps_per_second"),
        (text.replace("dds", "ddss"), r"method: unknown method 'ddss' \(did you mean 'dds'\?\)"),
        (text.replace("dds,3.2\n", ""), r"speeds\.csv: method: no row for dds"),
        ("", r"speeds\.csv: not a readable CSV file"),
    ):
        speeds.write_text(spoilt, encoding="utf-8")
        with pytest.raises(UserError, match=message):
            load_reference(copied)
    speeds.unlink()
    with pytest.raises(UserError, match=r"reference_speeds\.csv: not found; .* --reference"):
        load_reference(copied)


def test_a_truncated_archive_is_said(copied: Path) -> None:
    runs = copied / "reference_runs.csv.gz"
    runs.write_bytes(gzip.compress(b"run_id,target\n" * 100)[:-12])
    with pytest.raises(UserError, match=r"runs\.csv\.gz: not a readable CSV file"):
        load_reference(copied)


def test_figures_have_a_panel_a_target_and_every_run(reference: Reference) -> None:
    trained = as_trained(reference, Rule.last)
    trade_off = trade_off_figure(reference, trained)
    assert [axes.get_title("left") for axes in trade_off.axes] == reference.targets
    assert sum(len(axes.lines) for axes in trade_off.axes) == len(trained)
    curves = curves_figure(reference, {})
    assert sum(len(axes.lines) for axes in curves.axes) == reference.curves["run_id"].nunique()
    for axes in curves.axes:
        assert axes.get_xlabel() == "training step (thousands)"


def test_latex_rows_have_as_many_cells_as_their_head(reference: Reference) -> None:
    for table in make_paper(reference, Rule.last, None, None).tables:
        body = rendering.latex(table).split(r"\toprule")[1].split(r"\bottomrule")[0]
        counts = {len(re.findall(r"(?<!\\)&", row)) for row in body.split(r"\\") if row.strip()}
        assert counts - {0} == {len(table.head) - 1}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(reference: Reference, tmp_path: Path) -> None:
    write_paper(make_paper(reference, Rule.last, None, None), reference, tmp_path)
    head = r"\documentclass{article}\usepackage{booktabs}\usepackage{graphicx}\begin{document}"
    (tmp_path / "main.tex").write_text(head + r"\input{paper}\end{document}", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
