"""The key ``downsampling`` of a study: all methods as selective, whatever was chosen for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.methods.registry import resolve
from benchmark.study.chosen import Chosen, ChosenValues
from benchmark.study.study import Study


def study_of(text: Path, **keys: Any) -> Study:
    """A study of methods with a downsampling, with a share that is kept, and with neither."""
    return Study.model_validate(
        {
            "study": "some",
            "data": {"generic": {"files": [str(text)]}},
            "models": {"mini": {"preset": "mini"}},
            "targets": {"t": {"source": {"files": [str(text)]}}},
            "methods": ["pretraining", "dds", "dsir"],
            "training": {"steps": 200},
            "fine_tuning": {"steps": 10},
            **keys,
        }
    )


def settings(study: Study, cache: Path) -> dict[str, dict[str, Any]]:
    return {run.method.label: run.method.hyperparameters for run in resolve(study, cache).runs()}


def chosen(**values: dict[str, Any]) -> Chosen:
    rows = tuple(
        ChosenValues(
            label=label,
            model="mini",
            target="*",
            trial=0,
            valid_loss=1.0,
            distinct_trials=1,
            failed_trials=0,
            tuning_flops=0.0,
            hyperparameters=hyperparameters,
        )
        for label, hyperparameters in values.items()
    )
    return Chosen(
        study="other",
        rule="some",
        stage="trained",
        trials=1,
        draw_seed=0,
        training_seed=0,
        chosen=rows,
    )


def test_it_replaces_what_the_study_and_what_tuning_says(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    tuned = chosen(pretraining={}, dds={"downsampling": 8, "network_rate": 0.5}, dsir={"keep": 0.3})
    for study in (
        study_of(text, downsampling=4),
        study_of(text, downsampling=4, tuned=tuned),
        resolve(study_of(text, downsampling=4, tuned=tuned), tmp_path),
    ):
        found = settings(study, tmp_path)
        assert found["dds"]["downsampling"] == 4
        assert found["dsir"]["keep"] == 0.25
        assert found["pretraining"] == {}
        assert (found["dds"]["network_rate"] == 0.5) == (study.tuned is not None)


def test_without_it_nothing_changes(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    tuned = chosen(pretraining={}, dds={"downsampling": 8}, dsir={"keep": 0.3})
    found = settings(study_of(text, tuned=tuned), tmp_path)
    assert found["dds"]["downsampling"] == 8
    assert found["dsir"]["keep"] == 0.3
    assert "downsampling" not in study_of(text).model_dump()
