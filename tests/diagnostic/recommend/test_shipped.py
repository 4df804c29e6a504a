"""The rules that come along, and their scores, are what the committed records of the atlas give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.data import PreparedData
from benchmark.diagnostic.recommend.cells import measured_cells, read_studies
from benchmark.diagnostic.recommend.features import Tier
from benchmark.diagnostic.recommend.measuring import Measuring
from benchmark.diagnostic.recommend.rule import load_advice_rule, shipped_rule
from benchmark.diagnostic.recommend.scoring import score_frozen
from benchmark.study.environment import describe
from benchmark.study.study import RunSpec

NAMES = ["end", "score", "question"]
ATLAS = Path(__file__).parents[3] / "results" / "atlas"

pytestmark = pytest.mark.long


@pytest.mark.parametrize("tier", [0, 1])
def test_a_shipped_rule_follows_from_the_fit_part(tier: Tier, tmp_path: Path) -> None:
    part = sorted(folder.name for folder in ATLAS.glob("atlas_fit_*"))
    file = tmp_path / "rule.yaml"
    # An empty cache: no text is read.
    options = ["--tier", tier, "--results", ATLAS, "--cache", tmp_path / "cache", "--out", file]
    CliRunner().invoke(
        app, list(map(str, ["recommend", "fit", *part, *options])), catch_exceptions=False
    )
    found, shipped = (rule.model_dump() for rule in (load_advice_rule(file), shipped_rule(tier)))
    assert_alike(found, shipped)
    assert found["fitted_on"]["studies"] == tuple(part)
    assert not (tmp_path / "cache" / "prepared").exists()


@pytest.mark.parametrize("tier", [0, 1])
def test_its_scores_follow_from_the_test_part(tier: Tier, tmp_path: Path) -> None:
    """No text is read: every measure is kept with its records."""

    def prepare(spec: RunSpec) -> PreparedData:
        raise AssertionError(spec.target_name)

    studies = read_studies(sorted(ATLAS.glob("atlas_test_*")))
    measuring = Measuring(tmp_path, describe("cpu", 1), lambda _: None)
    cells, _ = measured_cells(studies, tier, measuring, prepare)
    targets = [cell for cell in cells if not cell.target.startswith("control_")]
    found = score_frozen(targets, shipped_rule(tier)).scores
    file = ATLAS / "found" / f"tier{tier}" / "scores.json"
    told = pd.DataFrame(json.loads(file.read_text())["scores"])
    assert len(targets) == 50
    assert (found[NAMES] == told[NAMES]).all(axis=None)
    numbers = told.columns.drop(NAMES)
    np.testing.assert_allclose(
        found[numbers].astype(float), told[numbers].astype(float), rtol=1e-3, atol=1e-3
    )


def assert_alike(found: Any, shipped: Any, at: str = "") -> None:
    """Numbers as far as one machine's arithmetic and another's agree, all else exactly."""
    if isinstance(shipped, dict):
        assert found.keys() == shipped.keys(), at
        for key, value in shipped.items():
            assert_alike(found[key], value, f"{at}/{key}")
    elif isinstance(shipped, tuple):
        assert len(found) == len(shipped), at
        for number, value in enumerate(shipped):
            assert_alike(found[number], value, f"{at}/{number}")
    elif isinstance(shipped, float):
        assert np.isclose(found, shipped, rtol=1e-4, atol=1e-6), at
    else:
        assert found == shipped, at
