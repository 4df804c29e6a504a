"""The studies that come with the package."""

from __future__ import annotations

import pytest

from benchmark.methods.registry import resolve
from benchmark.study.chosen import Chosen
from benchmark.study.loading import embedded_studies, load_study

DEVELOPMENT_TARGETS = {"kjv", "django_docs"}
"""Where settings are chosen."""


@pytest.mark.parametrize("name", embedded_studies())
def test_all_runs_of_an_embedded_study_have_their_settings(name: str) -> None:
    study = resolve(load_study(embedded_studies()[name]))
    assert len(study.runs()) == len(study.models) * len(study.targets) * len(study.seeds) * len(
        study.methods
    )


@pytest.mark.parametrize("name", ["mini", "planted"])
def test_published_studies_are_tuned_alike_on_other_targets(name: str) -> None:
    study = resolve(load_study(embedded_studies()[name]))
    assert isinstance(study.tuned, Chosen)
    assert not DEVELOPMENT_TARGETS & {*study.targets}
