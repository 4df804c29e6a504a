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


def test_every_run_has_its_own_seconds(reference: Reference) -> None:
    """Hours of whole runs, as its source gives them; CDS trains as fast as pretraining, mostly."""
    hours = reference.curves.groupby(["method", "target"])["seconds"].max() / 3600
    assert hours["pretraining", "arxiv"] == pytest.approx(6.9, abs=0.05)
    assert hours["cds", "arxiv"] == pytest.approx(13.7, abs=0.05)
    assert hours["classifier", "openwebtext2"] == pytest.approx(9.4, abs=0.05)
    others = hours["classifier"].drop(["openwebtext2", "reuters"])
    assert others.between(47, 51).all()
    assert (reference.curves.groupby("run_id")["seconds"].diff().dropna() > 0).all()


def test_equal_time_is_the_last_loss_logged_within_the_budget(reference: Reference) -> None:
    rows = at_equal_time(reference, Rule.last, None).set_index(["target", "method"])
    own = rows.loc[("arxiv", "pretraining")]
    assert (own["step"], own["target_loss"]) == (300_000, pytest.approx(1.45394))
    budgets = reference.curves.query("method == 'pretraining'").groupby("target")["seconds"].max()
    for (target, method), row in rows.iterrows():
        assert row["budget"] * 3600 == pytest.approx(budgets[target])
        curve = reference.curves[reference.curves["run_id"] == row["run_id"]]
        (at,) = curve.index[curve["step"] == row["step"]]
        assert curve.loc[at, "target_loss"] == row["target_loss"]
        assert curve.loc[at, "seconds"] <= budgets[target] + 1e-6
        if row["step"] < curve["step"].max():
            assert curve.loc[at + 1, "seconds"] > budgets[target], (target, method)
    assert not rows["ended"].any()


def test_scoring_the_corpus_is_time_in_which_cds_does_not_get_better(reference: Reference) -> None:
    curve = reference.curves.query("method == 'cds' and target == 'pubmed_abstracts'")
    scoring = curve["seconds"].diff().idxmax()
    before, after = curve.loc[scoring - 1], curve.loc[scoring]
    assert after["seconds"] - before["seconds"] > 4 * 3600
    rows = at_equal_time(reference, Rule.last, (after["seconds"] - 60) / 3600)
    cds = rows.set_index(["method", "target"]).loc[("cds", "pubmed_abstracts")]
    assert (cds["step"], cds["target_loss"]) == (before["step"], before["target_loss"])


def test_a_budget_before_the_first_or_after_the_last_logged_step(reference: Reference) -> None:
    short = at_equal_time(reference, Rule.last, 0.1).set_index(["target", "method"])
    # The first loss is logged after 2,000 steps: 20 minutes of the classifier, 3 of pretraining.
    assert np.isnan(short.loc[("arxiv", "classifier"), "target_loss"])
    assert np.isfinite(short.loc[("arxiv", "pretraining"), "target_loss"])
    long = at_equal_time(reference, Rule.last, 1000.0)
    assert long["ended"].all()
    last = as_trained(reference, Rule.last)
    pd.testing.assert_series_equal(long["target_loss"], last["target_loss"])
    (note,) = {
        note
        for table in make_paper(reference, Rule.last, 7.5, None).tables
        for note in table.notes
        if note.startswith("ended before")
    }
    assert "pretraining on arxiv" in note
    assert "dds" not in note
    assert "reuters" not in note


def test_the_committed_comparison_is_what_the_curves_give(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "write_figures", lambda *_: [])
    write_paper(make_paper(reference, Rule.last, None, None), reference, tmp_path)
    for file in sorted((FOLDER.parent / "published" / "paper").glob("*.csv")):
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


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


@pytest.mark.long
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
    seconds = copied / "reference_seconds.csv.gz"
    text = gzip.decompress(seconds.read_bytes()).decode()
    line = next(line for line in text.splitlines() if line.startswith("ypysh48qxk,4000,"))
    for spoilt, message in (
        (text.replace(",seconds", ",hours"), r"seconds\.csv\.gz: no column seconds"),
        (text.replace(f"{line}\n", ""), r"seconds: none for step 4000 of run ypysh48qxk"),
        ("", r"seconds\.csv\.gz: not a readable CSV file"),
    ):
        seconds.write_bytes(gzip.compress(spoilt.encode()))
        with pytest.raises(UserError, match=message):
            load_reference(copied)
    seconds.unlink()
    with pytest.raises(UserError, match=r"reference_seconds\.csv\.gz: not found; .* --reference"):
        load_reference(copied)
    final = copied / "reference_final.csv"
    final.write_text(final.read_text(encoding="utf-8").replace(",dds,", ",ddss,"), encoding="utf-8")
    shutil.copy(FOLDER / seconds.name, seconds)
    with pytest.raises(UserError, match=r"method: unknown method 'ddss' \(did you mean 'dds'\?\)"):
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
