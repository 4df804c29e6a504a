"""The rule that comes along and the evidence for it are what the committed records give."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmark.core.errors import UserError
from benchmark.diagnostic.evidence.fitting import fit_rule, write_rule
from benchmark.diagnostic.evidence.write import write_evidence
from benchmark.diagnostic.rule import load_rule
from tests.command_line import CommandLine
from tests.diagnostic.conftest import without_fits

RESULTS = Path(__file__).parents[3] / "results" / "diagnosis"


@pytest.mark.long
def test_the_rule_follows_from_the_records(tmp_path: Path) -> None:
    shipped = load_rule()
    assert shipped.fitted_on is not None
    found, compared = fit_rule(RESULTS, shipped.fitted_on.targets)
    assert found.features == shipped.features == compared["features"].iloc[0]
    assert set(found.fitted_on.targets if found.fitted_on else ()) == set(shipped.fitted_on.targets)
    assert shipped.fitted_on.seen is not None
    assert found.fitted_on is not None
    assert found.fitted_on.seen == shipped.fitted_on.seen
    for name, question in shipped.questions.items():
        ours, theirs = found.questions[name].fit, question.fit
        assert ours is not None
        assert theirs is not None
        for a, b in ((ours.log_odds, theirs.log_odds), (ours.gain, theirs.gain)):
            assert a.intercept == pytest.approx(b.intercept, rel=1e-4, abs=1e-6)
            assert a.weights == pytest.approx(b.weights, rel=1e-4, abs=1e-6)
    write_rule(tmp_path / "rule.yaml", found)
    assert load_rule(tmp_path / "rule.yaml") == found


@pytest.mark.long
def test_an_unknown_target_is_named(adaptbench: CommandLine) -> None:
    wrong = adaptbench("rule", "fit", RESULTS, "--targets", "kvj")
    assert wrong.returncode == 2
    assert "--targets: unknown target 'kvj' (did you mean 'kjv'" in wrong.stderr
    assert not (adaptbench.folder / "rule.yaml").exists()


def test_a_rule_without_a_fit_has_no_hit_rate() -> None:
    with pytest.raises(UserError, match=r"--rule: not fitted yet.*adaptbench rule fit"):
        write_evidence(RESULTS, without_fits())


def test_a_cell_without_a_diagnosis_is_named(tmp_path: Path) -> None:
    copy = tmp_path / "diagnosis"
    shutil.copytree(RESULTS, copy, ignore=shutil.ignore_patterns("figures", "tiny-kjv-s1.json"))
    with pytest.raises(UserError, match=r"1 of \d+ diagnoses are missing \(tiny-kjv-s1\.json"):
        fit_rule(copy, ("kjv",))


@pytest.mark.slow
def test_the_evidence_follows_from_the_records(tmp_path: Path) -> None:
    copy = tmp_path / "diagnosis"
    shutil.copytree(RESULTS, copy, ignore=shutil.ignore_patterns("evidence"))
    write_evidence(copy, load_rule())
    ours, theirs = (folder / "evidence" for folder in (copy, RESULTS))
    for name in ("cells.csv", "scores.csv"):
        pd.testing.assert_frame_equal(pd.read_csv(ours / name), pd.read_csv(theirs / name))
    assert (ours / "README.md").read_bytes() == (theirs / "README.md").read_bytes()
