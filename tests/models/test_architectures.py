"""The table architecture x method of docs/models.md, made by real workers (slow: 90 runs)."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from benchmark.methods.registry import methods, resolve
from benchmark.running.local import Settings, run_study
from benchmark.study.records import load_records
from benchmark.study.study import Study
from tests.models.architectures import ARCHITECTURES

SMALL = {"network": {"embedding": 8, "hidden": 8}, "downsampling": 4}
METHODS: dict[str, dict[str, Any]] = {
    "pretraining": {},
    "dds": SMALL,
    "soba": SMALL,
    "anograd": SMALL,
    "less": {"candidates": 64, "keep": 0.04},
    "cds": {},
}
PAGE = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_method_runs_on_every_architecture(
    kind: str, content: dict[str, Any], tmp_path: Path
) -> None:
    options, _ = ARCHITECTURES[kind]
    methods = [{"method": name, "hyperparameters": given} for name, given in METHODS.items()]
    models = {"other": {"huggingface_config": {"model_type": kind, **options}}}
    study = Study.model_validate(content | {"models": models, "methods": methods})
    study = resolve(study, tmp_path / "cache")
    settings = Settings(results=tmp_path / "results", cache=tmp_path / "cache")
    outcome = run_study(study, settings, lambda *_: None, lambda *_: None)
    assert (outcome.failed, outcome.died) == ({}, {})
    found = {}
    for record in load_records(settings.results):
        assert all(math.isfinite(stage.test_loss) for stage in record.stages)
        exact = not record.central_differences
        found[record.spec.method.label] = "exact" if exact else "differences"
    assert found == _row_of_page(kind)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral", "gpt_neox", "opt", "gpt2"])
def test_no_method_fails_on_a_usual_family(
    kind: str, content: dict[str, Any], tmp_path: Path
) -> None:
    """Those of the table again among them, all with the settings of checks."""
    options, _ = ARCHITECTURES[kind]
    listed = [
        {"method": name, "hyperparameters": dict(found.Hyperparameters.for_checks)}
        for name, found in methods().items()
        if found.__module__.startswith("baselines.")
    ]
    models = {"other": {"huggingface_config": {"model_type": kind, **options}}}
    study = Study.model_validate(content | {"models": models, "methods": listed})
    study = resolve(study, tmp_path / "cache")
    settings = Settings(results=tmp_path / "results", cache=tmp_path / "cache")
    outcome = run_study(study, settings, lambda *_: None, lambda *_: None)
    assert (outcome.failed, outcome.died) == ({}, {})
    assert len(outcome.done) == len(listed)


def test_the_page_has_a_row_for_each_architecture() -> None:
    assert all(_row_of_page(kind).keys() == METHODS.keys() for kind in ARCHITECTURES)


def _row_of_page(kind: str) -> dict[str, str]:
    """What docs/models.md says of each method."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    head = next(line for line in lines if line.startswith("| `model_type`"))
    row = next(line for line in lines if line.startswith(f"| `{kind}` |"))
    names, cells = (re.split(r"\s*\|\s*", line.strip("| ")) for line in (head, row))
    return dict(zip([name.strip("`") for name in names[1:]], cells[1:], strict=True))
