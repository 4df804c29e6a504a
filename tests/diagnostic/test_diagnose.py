"""A whole diagnosis in this process: what it reads, says, costs and draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from torch import nn

from benchmark.core.errors import UserError
from benchmark.data import PreparedData
from benchmark.diagnostic import diagnose as diagnose_module
from benchmark.diagnostic.convergence import (
    converge,
    convergence_figure,
    fewer_batches,
    fewer_rows,
)
from benchmark.diagnostic.defaults import AT
from benchmark.diagnostic.diagnose import Diagnosis, diagnose
from benchmark.diagnostic.figure import diagnosis_figure
from benchmark.diagnostic.pretrained import Checkpoint
from benchmark.diagnostic.records import read_diagnosis, write_diagnosis
from benchmark.diagnostic.settings import AFFORDABLE, Settings, parse_at
from benchmark.diagnostic.summary import estimate
from benchmark.diagnostic.terminal import terminal_summary
from benchmark.models.checkpoint import model_state
from benchmark.models.config import ModelConfig
from benchmark.study.environment import describe
from benchmark.study.loading import embedded_studies, load_study
from benchmark.study.study import RunSpec
from benchmark.training.start import initial_model
from tests.diagnostic.conftest import with_fits, without_fits
from tests.diagnostic.test_derivatives import ReverseOnly


class Forbidden:
    """Rows that nobody may look at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"held-out rows were asked for {name}")

    def __len__(self) -> int:
        raise AssertionError("held-out rows were counted")


def without_held_out(data: PreparedData) -> PreparedData:
    hidden: Any = Forbidden()
    return replace(data, target_valid=hidden, target_test=hidden, generic_valid=hidden)


def printed(diagnosis: Diagnosis) -> str:
    console = Console(width=200, record=True, quiet=False, file=open_nowhere())
    console.print(terminal_summary(diagnosis.record))
    return console.export_text()


def open_nowhere() -> Any:
    import io

    return io.StringIO()


@pytest.fixture(scope="module")
def diagnosis(spec: RunSpec, data: PreparedData, checkpoints: list[Checkpoint]) -> Diagnosis:
    settings = Settings(probe_rows=64, batches=8, batch_rows=8, splits=20, resamples=40)
    return diagnose(
        "tiny",
        spec,
        without_held_out(data),
        checkpoints,
        settings,
        without_fits(),
        describe("cpu", 1),
    )


def test_the_record_holds_what_was_seen(diagnosis: Diagnosis, spec: RunSpec) -> None:
    record = diagnosis.record
    assert (record.protocol, record.seed, record.sample) == (spec.protocol, spec.seed, 100)
    assert record.downsampling == 8
    assert record.environment.commit
    assert [len(c.generic) for c in record.checkpoints] == [64, 64]
    assert len({c.weights for c in record.checkpoints}) == 2
    early, last = record.checkpoints
    assert "persistence" not in early.measures
    assert record.persistence[0][1] == pytest.approx(last.measures["persistence"].value)
    assert last.curve[7] == pytest.approx(last.measures["top_alignment"].value)
    assert last.curve[-1] == pytest.approx(last.measures["mean_alignment"].value)
    for checkpoint in record.checkpoints:
        for name, found in checkpoint.measures.items():
            assert found.value is not None, name
            assert found.low is not None, name
            assert found.high is not None, name
            assert found.low <= found.value <= found.high, name


def test_a_record_is_read_back_and_damage_is_said(diagnosis: Diagnosis, tmp_path: Path) -> None:
    file = write_diagnosis(tmp_path, diagnosis.record)
    assert file.name == "nano-harbour-s0.json"
    assert read_diagnosis(file) == diagnosis.record
    file.write_text(file.read_text()[:-30])
    with pytest.raises(UserError, match=r"s0\.json: not a valid diagnosis.*remove it to redo"):
        read_diagnosis(file)
    with pytest.raises(UserError, match="no such file"):
        read_diagnosis(tmp_path / "other.json")


def test_a_rule_without_a_fit_is_visible_everywhere(diagnosis: Diagnosis) -> None:
    assert diagnosis.record.verdict.status == "provisional: not fitted"
    assert "No fitted rule yet (provisional: not fitted)" in printed(diagnosis)
    texts = [text.get_text() for text in diagnosis_figure(diagnosis.record).texts]
    assert any("PROVISIONAL: NOT FITTED" in text for text in texts)


def test_a_fitted_rule_is_shown_with_intervals(diagnosis: Diagnosis) -> None:
    settings, seed = diagnosis.record.settings, diagnosis.record.seed
    last = estimate(diagnosis.observed, settings, seed)[-1]
    verdict = with_fits("self_alignment").judge(last, diagnosis.record.cheap)
    shown = replace(diagnosis, record=diagnosis.record.model_copy(update={"verdict": verdict}))
    answer = next(iter(verdict.answers.values()))
    assert answer.probability is not None
    assert answer.probability.value is not None
    assert answer.gain is not None
    assert answer.gain.value is not None
    words = printed(shown)
    assert "Rule fitted on 2 targets of the study made_up" in words
    assert f"{answer.text}: {answer.probability.value:.0%} (" in words
    assert f"expected log ratio of losses {100 * answer.gain.value:+.1f}%" in words
    texts = [text.get_text() for text in diagnosis_figure(shown.record).texts]
    assert any(f"as trained {answer.probability.value:.0%}" in text for text in texts)


def test_a_rule_fitted_at_other_sizes_says_so(
    spec: RunSpec, data: PreparedData, checkpoints: list[Checkpoint], settings: Settings
) -> None:
    rule, environment = with_fits("self_alignment"), describe("cpu", 1)
    made = diagnose("tiny", spec, data, checkpoints, settings, rule, environment)
    assert any("fitted on diagnoses of other sizes (96 generic" in n for n in made.record.notes)


def test_figure_has_its_three_panels(diagnosis: Diagnosis) -> None:
    histogram, curves, matrix = diagnosis_figure(diagnosis.record).axes
    heights = [patch.get_height() for patch in histogram.patches]
    assert sum(heights) == pytest.approx(2)
    np.testing.assert_allclose(curves.lines[1].get_ydata(), diagnosis.record.last.curve)
    assert [text.get_text() for text in matrix.texts][:2] == [
        "1.00",
        f"{diagnosis.record.persistence[0][1]:.2f}",
    ]


def test_a_model_without_forward_mode_says_so(
    monkeypatch: pytest.MonkeyPatch,
    diagnosis: Diagnosis,
    spec: RunSpec,
    data: PreparedData,
    model: nn.Module,
) -> None:
    def opaque(*_: Any) -> nn.Module:
        return ReverseOnly(initial_model(spec, data))

    monkeypatch.setattr(diagnose_module, "initial_model", opaque)
    only = [Checkpoint("end", None, model_state(ReverseOnly(model)))]
    settings = diagnosis.record.settings
    found = diagnose("tiny", spec, data, only, settings, without_fits(), describe("cpu", 1))
    assert found.record.displacement == "central differences"
    assert found.record.last.gradients == "one by one"
    assert "Note: the model has no forward mode" in printed(found)
    assert "Note: the model cannot be vectorised" in printed(found)
    both = found.record.last, diagnosis.record.last
    ours, exact = (each.measures["transfer_correlation"].value for each in both)
    assert ours == pytest.approx(exact, abs=0.02)


def test_defaults_cost_under_five_percent_of_an_embedded_run(
    spec: RunSpec, data: PreparedData
) -> None:
    planted = load_study(embedded_studies()["planted"])
    # What a run costs depends on these only, and what a diagnosis costs on the model.
    assert planted.models == {"mini": ModelConfig(preset="mini")}
    assert (planted.training.steps, planted.training.batch) == (600, 32)
    changes = {"model": planted.models["mini"], "training": planted.training}
    run = spec.model_copy(update={**changes, "fine_tuning": planted.fine_tuning})
    weights = model_state(initial_model(run, data))
    both = [Checkpoint(f"{100 * share:g}%", 1, weights) for share in parse_at(AT)]
    few = Settings(resamples=4, splits=4)
    found = diagnose(planted.study, run, data, both, few, without_fits(), describe("cpu", 1)).record
    assert 0.03 < found.cost.share < AFFORDABLE
    assert set(found.cost.bill.parts) == {
        "gradients",
        "fine-tuning",
        "agreement with fine-tuning",
        "reference matrix",
    }
    assert found.notes == ()


def test_what_costs_too_much_says_so(diagnosis: Diagnosis) -> None:
    assert diagnosis.record.cost.share > AFFORDABLE
    assert "of a run, more than 5%: lower --probe-rows" in printed(diagnosis)


def test_convergence_ends_at_the_measures_themselves(diagnosis: Diagnosis) -> None:
    measures = diagnosis.record.last.measures
    for part, sizes in ((fewer_rows, (32, 64)), (fewer_batches, (4, 8))):
        found = converge(diagnosis, part, sizes)
        for name, values in found.values.items():
            np.testing.assert_allclose(values[1], measures[name].value, err_msg=name)
            assert np.nanstd(values[0]) > 0
    figure = convergence_figure(diagnosis)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "generic rows",
        "target batches of 8 rows",
    ]
