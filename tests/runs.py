"""Fixtures of tests that train: one prepared target, runs on it and their trainers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.data import PreparedData, prepare
from benchmark.methods.registry import find_method, resolve
from benchmark.study.study import RunSpec, Study
from benchmark.training.hooks import Hooks
from benchmark.training.loop import Trainer
from benchmark.training.start import initial_model
from tests.conftest import study_content, write_corpus


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="session")
def base_content(folder: Path) -> dict[str, Any]:
    return study_content(*write_corpus(folder / "text"))


@pytest.fixture(scope="session")
def data(base_content: dict[str, Any], folder: Path) -> PreparedData:
    study = Study.model_validate(base_content)
    return prepare(study.data, study.targets["harbour"], folder / "cache")


@pytest.fixture
def spec(base_content: dict[str, Any]) -> Callable[..., RunSpec]:
    """The run of one method, quick to check, other settings as given."""

    def make(
        method: str, hyperparameters: dict[str, Any] | None = None, **training: Any
    ) -> RunSpec:
        chosen = {**find_method(method).Hyperparameters.for_checks, **(hyperparameters or {})}
        content = base_content | {
            "methods": [{"method": method, "hyperparameters": chosen}],
            "training": base_content["training"] | training,
        }
        return resolve(Study.model_validate(content)).runs()[0]

    return make


@pytest.fixture
def trainer(data: PreparedData, tmp_path: Path) -> Callable[..., Trainer]:
    """A fresh trainer on the shared data; same checkpoint file within a test."""

    def make(
        run: RunSpec, hooks: Hooks | None = None, name: str = "run", device: str = "cpu"
    ) -> Trainer:
        file = tmp_path / f"{name}.safetensors"
        method = find_method(run.method.method)
        model = initial_model(run, data, device).to(device)
        return Trainer(run, data, model, method, file, hooks or Hooks())

    return make
