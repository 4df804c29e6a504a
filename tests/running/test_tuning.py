"""Equal tuning: seeded draws in the declared space, choice on valid only, studies that name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmark.api.baseline import Choice, LogUniform
from benchmark.core.errors import UserError
from benchmark.methods.registry import find_method, resolve
from benchmark.report.results.inputs import load_results
from benchmark.report.results.rules import general_rules
from benchmark.running.trials import trial_label, trial_study, tuned_study
from benchmark.running.tuning import TrialResult, choose, read_trials, write_chosen
from benchmark.study.loading import load_chosen
from benchmark.study.records import RunRecord, load_records, write_index, write_record
from benchmark.study.study import MethodEntry, Study
from tests.command_line import CommandLine
from tests.report.conftest import make_record, with_test_losses

WriteStudy = Callable[[dict[str, Any]], Path]
METHODS = ["pretraining", "mixing", "dds", "dsir", "cds"]
TRIALS = 6


@pytest.fixture
def study(content: dict[str, Any]) -> Study:
    return Study.model_validate(content | {"methods": METHODS, "seeds": [0, 1000]})


def drawn(study: Study, label: str) -> dict[str, dict[str, Any]]:
    """Hyper-parameters of the trials of one method, by label."""
    return {
        entry.label: entry.hyperparameters
        for entry in study.methods
        if entry.label.startswith(f"{label}.t")
    }


def results_of(study: Study, losses: dict[str, float | None], trials: int) -> list[TrialResult]:
    """Results of all trials of a study; those not in ``losses`` have a loss of 9."""
    return [
        TrialResult(
            model=run.model_name,
            target=run.target_name,
            label=run.method.label,
            hyperparameters=run.method.hyperparameters,
            valid_loss=losses.get(run.method.label, 9.0),
            flops=10.0,
        )
        for run in resolve(trial_study(study, trials, 0)).runs()
    ]


def chosen_trials(study: Study, results: list[TrialResult], trials: int = TRIALS) -> dict[str, int]:
    chosen = choose(study, results, trials=trials, seed=0, stage="trained")
    return {row.label: row.trial for row in chosen.chosen}


def test_draws_are_seeded_and_more_trials_keep_the_first(study: Study) -> None:
    plan = trial_study(study, TRIALS, 0)
    assert trial_study(study, TRIALS, 0) == plan
    assert trial_study(study, TRIALS, 1) != plan
    longer = drawn(trial_study(study, 2 * TRIALS, 0), "dds")
    assert drawn(plan, "dds").items() <= longer.items()
    assert plan.study == "tiny.tune"
    assert plan.seeds == (1001,)


def test_every_method_has_as_many_distinct_trials_as_its_space_holds(study: Study) -> None:
    plan = trial_study(study, TRIALS, 0)
    counts = {method: len(drawn(plan, method)) for method in METHODS}
    # Mixing has a space of 4 shares, the default among them; pretraining has none.
    assert counts == {"pretraining": 1, "mixing": 4, "dds": 6, "dsir": 6, "cds": 6}
    shares = sorted(values["share"] for values in drawn(plan, "mixing").values())
    assert shares == [0.05, 0.1, 0.2, 0.5]


def test_draws_lie_in_the_declared_space_and_the_study_s_limits(study: Study) -> None:
    plan = trial_study(study, TRIALS, 0)
    for method in METHODS:
        settings = find_method(method).Hyperparameters
        first, *others = drawn(plan, method).values()
        assert first == settings().model_dump(mode="json")
        for values in others:
            for name, space in settings.search_space().items():
                values.setdefault(name, settings.model_fields[name].default)
                if isinstance(space, Choice):
                    assert values[name] in space.values
                else:
                    assert space.low <= values[name] <= space.high
            # 8 x batch 8 = big_batch 64: the 16 and 32 of the declared space are redrawn.
            assert values.get("downsampling", 8) == 8


def test_few_trials_are_spread_over_the_space(content: dict[str, Any]) -> None:
    study = Study.model_validate(content | {"methods": ["dds"]})
    space = find_method("dds").Hyperparameters.search_space()["network_rate"]
    assert isinstance(space, LogUniform)
    for seed in range(5):
        _, *others = drawn(trial_study(study, 8, seed), "dds").values()
        places = [
            np.log(values["network_rate"] / space.low) / np.log(space.high / space.low)
            for values in others
        ]
        # An eighth of the range each, though big_batch forbids most draws of downsampling.
        assert len({int(8 * place) for place in places}) == len(places) == 7


def test_what_an_entry_fixes_is_not_drawn_and_changes_no_other_draw(
    content: dict[str, Any],
) -> None:
    fixed = {"method": "dds", "label": "far", "hyperparameters": {"look_ahead": 1.5}}
    study = Study.model_validate(content | {"methods": ["dds", fixed]})
    plan = trial_study(study, 4, 0)
    far = drawn(plan, "far")
    assert {values["look_ahead"] for values in far.values()} == {1.5}
    assert [values["network_rate"] for values in far.values()] == [
        values["network_rate"] for values in drawn(plan, "dds").values()
    ]


@pytest.mark.parametrize(
    ("changes", "trials", "message"),
    [
        ({}, 0, r"^--trials: at least 1 is needed \(got 0\)$"),
        ({"methods": ["pretraining", "target_only"]}, 2, "nothing to tune.* pretraining, target_"),
        ({"methods": [{"method": "mixing", "hyperparameters": {"share": 0.3}}]}, 2, "nothing to"),
        ({"training": {"steps": 9, "batch": 32, "big_batch": 64}}, 2, "dds: none of 300 .* 64: ra"),
        ({"methods": [{"method": "dds", "label": "d" * 58}]}, 2, "label: .*at most 60 char"),
        ({"tuned": "chosen.yaml"}, 2, "^tuned: the study has chosen values already"),
    ],
)
def test_what_cannot_be_tuned(
    content: dict[str, Any], changes: dict[str, Any], trials: int, message: str
) -> None:
    study = Study.model_validate(content | {"methods": ["dds"]} | changes)
    with pytest.raises(UserError, match=message) as caught:
        trial_study(study, trials, 0)
    assert "\n" not in str(caught.value)


def test_the_lowest_valid_loss_is_chosen_and_ties_go_to_the_earlier_trial(study: Study) -> None:
    losses = {"dds.t04": 2.0, "dds.t02": 2.0, "dds.t05": 2.1, "cds.t05": 1.0}
    found = results_of(study, losses, TRIALS)
    expected = {"pretraining": 0, "mixing": 0, "dds": 2, "dsir": 0, "cds": 5}
    assert chosen_trials(study, found) == expected
    assert chosen_trials(study, found[::-1]) == expected


def test_failed_trials_are_never_chosen(study: Study) -> None:
    found = results_of(study, {"dds.t00": None, "dds.t01": 3.0, "dds.t02": None}, TRIALS)
    chosen = choose(study, found, trials=TRIALS, seed=0, stage="trained")
    row = chosen.find("nano", "harbour", "dds")
    assert (row.trial, row.failed_trials, row.distinct_trials) == (1, 2, TRIALS)
    failed = [replace(result, valid_loss=None) for result in found]
    with pytest.raises(UserError, match=r"all 1 trials on harbour \(nano\) failed"):
        chosen_trials(study, failed)


def test_one_choice_for_every_target_is_the_best_on_average(
    content: dict[str, Any], tmp_path: Path
) -> None:
    """No trial that lacks a target, and not the one that is best on one of them."""
    both = content["targets"] | {"other": content["targets"]["harbour"]}
    study = Study.model_validate(content | {"methods": ["dds", "cds"], "targets": both})
    losses = {
        "harbour": {"dds.t01": 1.0, "dds.t02": 2.0, "dds.t03": 0.5},
        "other": {"dds.t01": 5.0, "dds.t02": 3.0, "dds.t03": None},
    }
    found = [
        replace(result, valid_loss=losses[result.target].get(result.label, 9.0))
        for result in results_of(study, {}, TRIALS)
    ]
    chosen = choose(study, found, trials=TRIALS, seed=0, stage="trained", for_every_target=True)
    assert "on each model and on average over harbour, other (trial 0" in chosen.rule
    row = chosen.find("nano", "harbour", "dds")
    assert (row.trial, row.valid_loss, row.failed_trials) == (2, 2.5, 1)
    assert row == chosen.find("nano", "never tuned on", "dds")
    write_chosen(tmp_path / "chosen.yaml", chosen)
    tuned = resolve(tuned_study(study, tmp_path / "chosen.yaml"))
    assert {run.method.hyperparameters["network_rate"] for run in tuned.runs()[:1]} == {
        row.hyperparameters["network_rate"]
    }
    assert resolve(Study.model_validate_json(tuned.model_dump_json())) == tuned


def measured(loss: float) -> list[dict[str, Any]]:
    """The last measurement of each stage."""
    figures = {"valid_loss": loss, "generic_loss": 3.0, "flops": 1e9, "seconds": 1.0}
    return [
        {"stage": stage, "step": 12, "examples": 96, **figures}
        for stage in ("trained", "fine_tuned")
    ]


@pytest.fixture
def records(study: Study, tmp_path: Path) -> Path:
    """Results of all trials, later ones better; that of dds that is best as trained failed."""
    plan = resolve(trial_study(study, TRIALS, 0))
    write_index(tmp_path / "tune", plan)
    for number, run in enumerate(plan.runs()):
        record = make_record(run, measured(3.0 - number / 100))
        if run.method.label == trial_label("dds", 3):
            stages = record.stages[:1]
            stages = (stages[0].model_copy(update={"valid_loss": 0.1}),)
            record = record.model_copy(update={"status": "failed", "stages": stages})
        write_record(tmp_path / "tune", record)
    return tmp_path / "tune"


def written(study: Study, records: Path, stage: Any = "trained") -> bytes:
    chosen = choose(study, read_trials(records, stage), trials=TRIALS, seed=0, stage=stage)
    write_chosen(records / "chosen.yaml", chosen)
    assert load_chosen(records / "chosen.yaml") == chosen
    return (records / "chosen.yaml").read_bytes()


def rewrite(records: Path, change: Callable[[int, RunRecord], RunRecord]) -> None:
    for number, record in enumerate(load_records(records)):
        write_record(records, change(number, record))


@pytest.mark.parametrize("stage", ["trained", "fine_tuned"])
def test_test_losses_have_no_say(study: Study, records: Path, stage: str) -> None:
    before = written(study, records, stage)
    rewrite(
        records,
        lambda n, record: with_test_losses(record, (5.0 - n, 7.0 * n)[: len(record.stages)]),
    )
    assert written(study, records, stage) == before


def test_records_are_read_at_the_stage_asked_for(study: Study, records: Path) -> None:
    def swap(number: int, record: RunRecord) -> RunRecord:
        losses = (3.0 + number, 3.0 - number / 100)
        stages = tuple(
            stage.model_copy(update={"valid_loss": loss})
            for stage, loss in zip(record.stages, losses, strict=False)
        )
        return record.model_copy(update={"stages": stages})

    rewrite(records, swap)
    written(study, records, "trained")
    assert load_chosen(records / "chosen.yaml").find("nano", "harbour", "dds").trial == 0
    written(study, records, "fine_tuned")
    row = load_chosen(records / "chosen.yaml").find("nano", "harbour", "dds")
    assert (row.trial, row.failed_trials) == (TRIALS - 1, 1)


def test_a_study_that_names_chosen_values_runs_them(study: Study, records: Path) -> None:
    written(study, records)
    file = records / "chosen.yaml"
    chosen, tuned = load_chosen(file), resolve(tuned_study(study, file))
    assert tuned.study == "tiny.tuned"
    assert tuned.seeds == study.seeds
    for run, plain in zip(tuned.runs(), resolve(study).runs(), strict=True):
        row = chosen.find(run.model_name, run.target_name, run.method.label)
        assert run.method.hyperparameters == row.hyperparameters
        differs = run.method.hyperparameters != plain.method.hyperparameters
        assert (run.key != plain.key) == differs
    assert sum(row.trial > 0 for row in chosen.chosen) >= 3
    # What is kept with the results does not need the file any more.
    assert resolve(tuned) == tuned
    assert Study.model_validate_json(tuned.model_dump_json()).runs() == tuned.runs()
    with pytest.raises(ValueError, match="resolve the study first"):
        tuned_study(study, file).runs()


def without_mixing(rows: list[dict[str, Any]]) -> None:
    rows[:] = [row for row in rows if row["label"] != "mixing"]


def with_a_bad_rate(rows: list[dict[str, Any]]) -> None:
    next(row for row in rows if row["label"] == "dds")["hyperparameters"]["network_rate"] = -1


def without_a_loss(rows: list[dict[str, Any]]) -> None:
    del rows[0]["valid_loss"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_mixing, r": chosen: no values for mixing on harbour \(nano\), only for pretr"),
        (with_a_bad_rate, r": chosen: dds on harbour \(nano\): hyperparameters.network_rate: .*-1"),
        (without_a_loss, r": chosen\.0\.valid_loss: is missing$"),
        (lambda rows: rows.append(rows[0]), r": chosen: pretraining on harbour .* is there twice"),
    ],
)
def test_bad_chosen_values(
    study: Study, records: Path, spoil: Callable[[Any], None], message: str
) -> None:
    content = yaml.safe_load(written(study, records))
    spoil(content["chosen"])
    file = records / "chosen.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        resolve(tuned_study(study, file))
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_chosen_values_do_not_overrule_the_study(study: Study, records: Path) -> None:
    written(study, records)
    tuned = tuned_study(study, records / "chosen.yaml")
    entry = MethodEntry(method="dds", hyperparameters={"update_every": 7})
    contradicting = tuned.model_copy(update={"methods": (entry,)})
    with pytest.raises(UserError, match=r"update_every: 1 contradicts the study, which gives 7"):
        resolve(contradicting)
    missing = tuned_study(study, records / "nowhere.yaml")
    with pytest.raises(UserError, match=r"^tuned: .*nowhere.yaml: no such file; `adaptbench tune`"):
        resolve(missing)


@pytest.mark.long
def test_tune_through_the_command_line(
    adaptbench: CommandLine, content: dict[str, Any], write_study: WriteStudy
) -> None:
    file = write_study(content | {"methods": ["pretraining", "mixing"]})
    result = adaptbench("tune", file, "--trials", "2", "--no-report")
    assert result.returncode == 0, result.stderr
    assert "3 run now, 0 failed; results/tiny.tune" in result.stderr
    assert "2 run now, 0 failed; results/tiny.tuned" in result.stderr
    folder = adaptbench.folder / "results"
    chosen = load_chosen(folder / "tiny.tune" / "chosen.yaml")
    assert {run.spec.seed for run in load_records(folder / "tiny.tune")} == {1000}
    for record in load_records(folder / "tiny.tuned"):
        row = chosen.find("nano", "harbour", record.spec.method.label)
        assert record.spec.method.hyperparameters == row.hyperparameters
        assert record.spec.seed == 0
        assert row.tuning_flops > record.stages[-1].cost.flops * 0.99
    rules = "\n".join(general_rules(load_results(folder / "tiny.tuned")))
    assert "hyper-parameters: lowest valid loss as trained of 2 trials allowed to each" in rules
