"""One tiny pretrained model and its data for all tests of the diagnostic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from benchmark.data import PreparedData, prepare
from benchmark.diagnostic.pretrained import Checkpoint, Pretraining, put_into
from benchmark.diagnostic.rule import NOT_FITTED, Fit, Fitted, Linear, Rule, load_rule
from benchmark.diagnostic.settings import Settings
from benchmark.methods.registry import resolve
from benchmark.study.environment import describe
from benchmark.study.study import RunSpec, Study
from benchmark.training.start import initial_model
from tests.conftest import study_content, write_corpus

STEPS = 120


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diagnostic")


@pytest.fixture(scope="session")
def long_content(folder: Path) -> dict[str, Any]:
    """A study long enough to tell subjects apart."""
    content = study_content(*write_corpus(folder / "text"))
    training = content["training"] | {"steps": STEPS, "rate": 0.01, "evaluate_every": 40}
    return content | {"methods": ["pretraining"], "training": training}


@pytest.fixture(scope="session")
def spec(long_content: dict[str, Any]) -> RunSpec:
    return resolve(Study.model_validate(long_content)).runs()[0]


@pytest.fixture(scope="session")
def data(spec: RunSpec, folder: Path) -> PreparedData:
    return prepare(spec.data, spec.target, folder / "cache")


@pytest.fixture(scope="session")
def checkpoints(spec: RunSpec, data: PreparedData, folder: Path) -> list[Checkpoint]:
    """At a quarter and at the end of pretraining."""
    pretraining = Pretraining(spec, data, folder / "cache", describe("cpu", 1), lambda *_: None)
    return pretraining.checkpoints((0.25, 1.0))


@pytest.fixture
def model(spec: RunSpec, data: PreparedData, checkpoints: list[Checkpoint]) -> nn.Module:
    """The pretrained model."""
    made = initial_model(spec, data)
    put_into(made, checkpoints[-1])
    return made


def without_fits() -> Rule:
    """The shipped rule's questions, as before any fit."""
    questions = {
        name: question.model_copy(update={"fit": None})
        for name, question in load_rule().questions.items()
    }
    return Rule(status=NOT_FITTED, fitted_on=None, questions=questions)


def with_fits(measure: str) -> Rule:
    """The shipped rule's questions, all answered by one measure, as if fitted with ``settings``."""
    fit = Fit(
        log_odds=Linear(intercept=0.5, weights={measure: 1.0}),
        gain=Linear(intercept=0.01, weights={measure: 0.1}),
    )
    questions = {
        name: question.model_copy(update={"fit": fit})
        for name, question in load_rule().questions.items()
    }
    on = Fitted(study="made_up", targets=("a", "b"), settings=Settings(), at=("100%",))
    return Rule(status="fitted", fitted_on=on, questions=questions)


@pytest.fixture
def settings() -> Settings:
    """Quick, and enough for a sample of 100 rows."""
    return Settings(probe_rows=64, batches=8, batch_rows=8, splits=20, resamples=40)
