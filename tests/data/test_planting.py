"""Text of a target hidden in the generic corpus that this target, and no other, is met with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.data import prepare
from benchmark.study.study import Study
from tests.conftest import sentences, study_content

SHARE = 0.2


@pytest.fixture
def study(tmp_path: Path) -> Study:
    texts = {}
    for number, subject in enumerate(("garden", "kitchen", "harbour")):
        texts[subject] = tmp_path / f"{subject}.txt"
        texts[subject].write_text("\n\n".join(sentences(subject, 2000, seed=number)))
    content: dict[str, Any] = study_content(tmp_path, texts["harbour"])
    parts = {
        name: {"source": str(texts[name]), "megabytes": 0.04} for name in ("garden", "kitchen")
    }
    content["data"]["generic"] = {"mixture": parts}
    plain = content["targets"]["harbour"]
    planted = plain | {"planted": {"source": str(texts["harbour"]), "share": SHARE}}
    content["targets"] = {"harbour": plain, "planted": planted}
    return Study.model_validate(content)


def test_planted_share_is_that_of_the_whole(study: Study, tmp_path: Path) -> None:
    run = next(run for run in study.runs() if run.target_name == "planted")
    rows = prepare(run.data, run.target, tmp_path / "cache").report.domain_rows
    assert rows["planted"] / sum(rows.values()) == pytest.approx(SHARE, abs=0.02)


def test_other_targets_do_not_meet_it(study: Study) -> None:
    plain, planted = (
        next(run for run in study.runs() if run.target_name == name) for name in study.targets
    )
    assert plain.data == study.data
    assert plain.target == planted.target
    assert plain.protocol != planted.protocol


def test_runs_of_unplanted_targets_keep_their_keys(study: Study) -> None:
    written = study.model_dump(mode="json")["targets"]
    assert "planted" not in written["harbour"]
    assert Study.model_validate(study.model_dump(mode="json")) == study
