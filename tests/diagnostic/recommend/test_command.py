"""``adaptbench recommend``, ``recommend fit`` and ``recommend score`` as a user runs them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.core.errors import UserError
from benchmark.data import prepare
from benchmark.diagnostic.recommend import measuring
from benchmark.diagnostic.recommend.outcomes import at_budget, read_outcomes, source_name
from benchmark.diagnostic.recommend.records import read_recommendation
from benchmark.diagnostic.recommend.rule import load_advice_rule, shipped_rule
from benchmark.diagnostic.recommend.section import recommendation_grids
from benchmark.diagnostic.recommend.terminal import terminal_recommendation
from benchmark.diagnostic.recommend.text import of_one_document
from benchmark.methods.registry import resolve
from benchmark.study.records import write_index, write_metrics, write_record
from benchmark.study.stages import BEST_STEP
from benchmark.study.study import Study
from tests.conftest import sentences, study_content, write_corpus
from tests.report.conftest import make_metrics, make_record, with_test_losses

pytestmark = pytest.mark.long

SUBJECTS = ("garden", "harbour", "kitchen")
GAIN = 0.02
"""For each share of harbour in a target, in steps of a quarter."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study whose records are made up: DSIR gains where text is about harbours."""
    folder = tmp_path_factory.mktemp("recommend")
    content = made_up_study(folder)
    (folder / "study.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    study = resolve(Study.model_validate(content))
    results = folder / "results" / "tiny"
    write_index(results, study)
    for spec in study.runs():
        data = prepare(spec.data, spec.target, folder / "cache")
        metrics = make_metrics(spec.model_copy(update={"model_name": "mini"}), 1)
        place = list(study.targets).index(spec.target_name)
        gain = {"dsir": GAIN * place, "mixing": 0.03 - GAIN * place}.get(spec.method.label, 0.0)
        loss = 2.0 * float(np.exp(-gain)) + 0.001 * spec.seed
        record = make_record(spec.model_copy(update={"model_name": "mini"}), metrics)
        record = with_test_losses(record, (loss, loss)).model_copy(
            update={
                "spec": spec,
                "run_id": spec.run_id,
                "data": {"fingerprint": data.fingerprint, **data.report.model_dump()},
            }
        )
        write_metrics(results, spec.run_id, metrics)
        write_record(results, record)
    return folder


def made_up_study(folder: Path) -> dict[str, Any]:
    content = study_content(*write_corpus(folder / "text"))
    targets = {}
    for number in range(6):
        harbour = 60 * number
        text = sentences("harbour", 10 + harbour, 90 + number)
        text += sentences("garden", 310 - harbour, 50 + number)
        np.random.default_rng(number).shuffle(text)
        file = folder / "text" / f"target{number}.txt"
        file.write_text("\n\n".join(text), encoding="utf-8")
        targets[f"t{number}"] = {"source": str(file), "train": 100, "valid": 50, "test": 50}
    methods = ["pretraining", "mixing", "dsir"]
    training = {**content["training"], "steps": 80, "evaluate_every": 10}
    return {**content, "targets": targets, "methods": methods, "training": training}


def run(folder: Path, *arguments: str | Path) -> str:
    """The command's output.

    Raises:
        UserError: as the command does.
    """
    options = ["--results", folder / "results", "--cache", folder / "cache"]
    words = list(map(str, ["recommend", *arguments, *options]))
    result = CliRunner().invoke(app, words, env={"COLUMNS": "80"})
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def rule(finished: Path) -> Path:
    file = finished / "rule.yaml"
    run(finished, "fit", "tiny", "--out", file)
    return file


def test_a_rule_from_a_finished_study(rule: Path) -> None:
    found = load_advice_rule(rule)
    assert found.fitted_on.studies == ("tiny",)
    assert (found.fitted_on.cells, found.fitted_on.runs) == (6, 18)
    assert len(found.fitted_on.sources) == 6
    assert found.methods == {"mixing": "mixing", "dsir": "dsir"}
    assert set(found.ends) == {"as_trained", "fine_tuned", "equal_flops"}
    assert found.seen.ranges["sample_rows"] == (100, 100)
    gain = found.ends["as_trained"].predictors["dsir"]
    assert gain.mean == pytest.approx(100 * GAIN * 2.5, rel=1e-3)


def test_measures_are_kept_with_the_results(finished: Path, rule: Path, tmp_path: Path) -> None:
    file = finished / "results" / "tiny" / "measures" / "tier0.json"
    kept = file.read_bytes()
    again = tmp_path / "rule.yaml"
    # Neither rows nor measures are in this cache.
    (finished / "cache").rename(tmp_path / "elsewhere")
    run(finished, "fit", "tiny", "--out", again)
    assert again.read_bytes() == rule.read_bytes()
    assert not (finished / "cache" / "prepared").exists()
    # Measures of other rows are not taken for these: they are made anew.
    content = json.loads(kept)
    content["targets"][0]["data"] = "0" * 64
    content["targets"][0]["measured"]["values"]["ngram_divergence"] = 9.0
    file.write_text(json.dumps(content), encoding="utf-8")
    shutil.rmtree(finished / "cache", ignore_errors=True)
    (tmp_path / "elsewhere").rename(finished / "cache")
    run(finished, "fit", "tiny", "--out", again)
    assert again.read_bytes() == rule.read_bytes()
    assert json.loads(file.read_bytes())["targets"] == json.loads(kept)["targets"]
    file.write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"tier0\.json: "):
        run(finished, "fit", "tiny", "--out", again)
    file.write_bytes(kept)


def test_what_cannot_be_measured_is_left_out_and_named(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished / "results" / "tiny", tmp_path / "results" / "tiny")
    shutil.rmtree(tmp_path / "results" / "tiny" / "measures")
    out = tmp_path / "rule.yaml"
    words = ["recommend", "fit", "tiny", "--out", out, "--results", tmp_path / "results"]

    def fit() -> str:
        return (
            CliRunner().invoke(app, [*map(str, words), "--cache", str(finished / "cache")]).stderr
        )

    def refuse(target: str, *_: object) -> None:
        if target == "t0":
            raise of_one_document(target, 100)

    with monkeypatch.context() as patched:
        patched.setattr(measuring, "require_documents", refuse)
        said = fit()
    assert "left out: study 'tiny': targets.t0.train: 100 rows of it are of one" in said
    assert load_advice_rule(out).fitted_on.cells == 5
    # Kept like a measure is.
    assert fit() == said


def test_what_may_be_mended_is_not_kept_as_unmeasurable(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "results" / "tiny", tmp_path / "results" / "tiny")
    shutil.rmtree(tmp_path / "results" / "tiny" / "measures", ignore_errors=True)
    shutil.copytree(finished / "cache", tmp_path / "cache")
    damaged = min((tmp_path / "cache" / "measures").iterdir())
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:10])
    out = tmp_path / "rule.yaml"
    with pytest.raises(UserError, match=r"damaged .*; remove it to redo"):
        run(tmp_path, "fit", "tiny", "--out", out)
    damaged.write_bytes(whole)
    run(tmp_path, "fit", "tiny", "--out", out)
    assert load_advice_rule(out).fitted_on.cells == 6


def test_a_recommendation_from_a_rule(finished: Path, rule: Path) -> None:
    arguments = (finished / "study.yaml", "--target", "t5", "--rule", rule)
    said = run(finished, *arguments)
    folder = finished / "results" / "tiny"
    file = folder / "recommendation" / "nano-t5-tier0.json"
    record = read_recommendation(file)
    assert record.ends["as_trained"].method == "dsir"
    assert record.ends["as_trained"].expected["dsir"].change < -5
    assert "parameters" in " ".join(record.outside)
    assert "as trained: train dsir" in said
    assert "Outside what the rule has seen: parameters" in said
    figures = {path.name for path in (file.parent / "figures").iterdir()}
    assert {"nano-t5-tier0.png", "nano-t5-tier0.pdf"} <= figures
    assert len(recommendation_grids(folder)) == 2
    console = Console(width=80, record=True)
    console.print(terminal_recommendation(record))
    assert max(map(len, console.export_text().splitlines())) <= 80
    first = file.read_bytes()
    run(finished, *arguments, "--methods", "dsir", "--budget", "500")
    other = read_recommendation(file)
    assert set(other.ends["as_trained"].expected) == {"pretraining", "dsir"}
    assert any("rows trained 4,000" in words for words in other.outside)
    run(finished, *arguments)
    assert file.read_bytes() == first


def test_without_a_rule_the_one_that_comes_along_is_used(finished: Path) -> None:
    said = run(finished, finished / "study.yaml", "--target", "t5")
    file = finished / "results" / "tiny" / "recommendation" / "nano-t5-tier0.json"
    record = read_recommendation(file)
    assert record.rule is None
    assert record.fitted_on == shipped_rule(0).fitted_on.words
    assert "atlas_fit_01 to atlas_fit_27" in record.fitted_on
    # The atlas has a model of another size.
    assert "Outside what the rule has seen: parameters" in said


def test_scores_of_a_study(finished: Path, rule: Path) -> None:
    said = run(finished, "score", "tiny", "--out", finished / "scores")
    files = {str(p.relative_to(finished / "scores")) for p in (finished / "scores").rglob("*.*")}
    assert files == {
        "README.md",
        "scores.json",
        "cells.csv",
        *(f"figures/{n}.{e}" for n in ("gains", "calibration") for e in ("png", "pdf")),
    }
    content = json.loads((finished / "scores" / "scores.json").read_text())
    assert {row["score"] for row in content["scores"]} >= {"regret", "R2", "coverage"}
    assert (
        "Regret of recommendations: each of 6 sources"
        in (finished / "scores" / "README.md").read_text()
    )
    assert "the recommendation saves" in said
    with pytest.raises(UserError, match="--against: the rule was fitted on every source here"):
        run(finished, "score", "tiny", "--against", rule)


def test_bad_input_is_refused(finished: Path, rule: Path, tmp_path: Path) -> None:
    study = finished / "study.yaml"
    for arguments, message in (
        ((study, "--target", "t9", "--rule", rule), "--target: unknown target 't9'"),
        ((study, "--target", "t5", "--rule", tmp_path / "no.yaml"), "no.yaml: cannot be read"),
        ((study, "--target", "t5", "--rule", study), "unknown key"),
        ((study, "--target", "t5", "--rule", rule, "--tier", "1"), "--rule: fitted on measures"),
        (
            (study, "--target", "t5", "--rule", rule, "--methods", "dsri"),
            "--methods: unknown method 'dsri' (did you mean 'dsir'?)",
        ),
        (("fit", "tiny", "--targets", "t7"), "--targets: unknown target 't7'"),
        (("fit", "tiny", "--targets", "t1,t2"), "their targets are from 2 sources"),
        (("fit", "tiny", "tiny"), "STUDY: 'tiny' is given twice"),
        (("fit", "other"), "unknown study 'other'"),
        (("score", "tiny", "--against", rule, "--tier", "1"), "--tier: the rule of --against"),
    ):
        with pytest.raises(UserError) as caught:
            run(finished, *arguments)
        assert message in str(caught.value), arguments


def test_an_unfinished_study_is_named(build: Callable[..., Path]) -> None:
    folder = build(pending=[("awsdocs", "dds", 0)])
    with pytest.raises(UserError, match=r"1 of 12 runs are not finished \(the first: dds on aws"):
        read_outcomes(folder)
    found = read_outcomes(folder, ["gutenberg"])
    assert [outcome.record.spec.target_name for outcome in found.outcomes] == ["gutenberg"]
    without = build(methods=("mixing", "dds"))
    with pytest.raises(UserError, match="has no run of pretraining"):
        read_outcomes(without)


def test_gains_are_log_ratios_and_equal_flops_are_interpolated(build: Callable[..., Path]) -> None:
    found = read_outcomes(build(seeds=(0, 1)), ["awsdocs"]).outcomes[0]
    assert len(found.by_seed) == 2
    expected = [100 * np.log(2.31 / 2.03), 100 * np.log(2.33 / 2.05)]
    for gains, gain in zip(found.by_seed, expected, strict=True):
        assert gains["as_trained"]["mixing"] == pytest.approx(gain, abs=0.2)
    assert found.gains["equal_flops"]["mixing"] < found.gains["as_trained"]["mixing"]
    flops, losses = np.array([10.0, 20.0, 40.0]), np.array([4.0, 3.0, 2.0])
    assert at_budget(flops, losses, 30.0) == 2.5
    assert at_budget(flops, losses, 90.0) == 2.0
    assert np.isnan(at_budget(flops, losses, 9.0))


def test_a_best_step_counts_at_equal_flops_too(build: Callable[..., Path]) -> None:
    folder = build(methods=("pretraining", "mixing"))
    before = read_outcomes(folder, ["awsdocs"]).outcomes[0].gains["equal_flops"]["mixing"]
    for file in folder.glob("runs/*awsdocs-mixing*/metrics.jsonl"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        trained = [line for line in lines if line["stage"] == "trained"]
        trained[0]["valid_loss"] = 0.5 * min(line["valid_loss"] for line in trained)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    last = read_outcomes(folder, ["awsdocs"]).outcomes[0].gains["equal_flops"]["mixing"]
    assert last == pytest.approx(before)
    for file in folder.glob("runs/*awsdocs-mixing*/record.json"):
        content = json.loads(file.read_text())
        content["stages"][0]["rule"] = BEST_STEP
        file.write_text(json.dumps(content), encoding="utf-8")
    best = read_outcomes(folder, ["awsdocs"]).outcomes[0].gains["equal_flops"]["mixing"]
    assert best > last + 60


def test_targets_of_one_package_are_one_source(finished: Path) -> None:
    from benchmark.data.source import EmbeddedSource, FilesSource

    parts = [
        EmbeddedSource(embedded=f"sympy_{kind}", part="held_out") for kind in ("docs", "tests")
    ]
    assert {source_name(part) for part in parts} == {"sympy"}
    domains = [FilesSource(files=(finished,), domains=(name,)) for name in "ab"]
    assert len({source_name(source) for source in domains}) == 1


@pytest.mark.slow
def test_gradients_end_to_end(finished: Path) -> None:
    """Tier 1, which pretrains a little for every target."""
    file = finished / "gradients.yaml"
    run(finished, "fit", "tiny", "--tier", "1", "--out", file)
    said = run(finished, finished / "study.yaml", "--target", "t5", "--rule", file)
    record = read_recommendation(
        finished / "results" / "tiny" / "recommendation" / "nano-t5-tier1.json"
    )
    assert record.measured.checkpoints == (6, 8, 10)
    assert record.share is not None
    assert record.share > 0.12
    assert "of training once, the pretraining" in " ".join(said.split())
