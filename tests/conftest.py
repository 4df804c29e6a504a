"""Small real texts and studies that the tests share."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import settings

from benchmark.study.loading import embedded_studies
from tests.command_line import CommandLine

pytest_plugins = ["tests.runs", "tests.baselines.fixtures"]

# Run in the background of a script, pytest ignores INT, and so would the commands that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)
settings.register_profile("deterministic", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("deterministic")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default="cpu", help="Where tests/golden and tests/device compute: cpu or cuda."
    )


# Files are handed out whole: the longest first, so that none is left to run alone at the end.
LONGEST = (
    "test_faults.py",
    "test_contract.py",
    "test_wheel.py",
    "test_executors.py",
    "test_sweep.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """Where the models of a test are."""
    return str(request.config.getoption("--device"))


SUBJECTS = {
    "garden": "rose tulip spade soil water seed bloom prune hedge lawn bulb compost",
    "harbour": "ship anchor tide rope sail crane dock pilot buoy cargo wharf keel",
    "kitchen": "flour oven whisk butter salt simmer knife dough spice pan broth sieve",
}


def sentences(subject: str, count: int, seed: int) -> list[str]:
    """Sentences about one subject, no two alike."""
    rng = np.random.default_rng(seed)
    words = SUBJECTS[subject].split()
    return [f"{number} {' '.join(rng.choice(words, 9))}." for number in range(count)]


def write_corpus(folder: Path, target_rows: int = 400) -> tuple[Path, Path]:
    """A generic corpus of three subjects (one file each) and a target about one of them."""
    generic, target = folder / "generic", folder / "target.txt"
    generic.mkdir(parents=True)
    for number, subject in enumerate(SUBJECTS):
        text = "\n\n".join(sentences(subject, 500, seed=number))
        (generic / f"{subject}.txt").write_text(text, encoding="utf-8")
    target.write_text("\n\n".join(sentences("harbour", target_rows, seed=9)), encoding="utf-8")
    return generic, target


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[Path, Path]:
    """Paths of a generic folder and of a target file."""
    return write_corpus(tmp_path / "text")


def embedded_content(name: str) -> dict[str, Any]:
    """What an embedded study's file says, as one that lies elsewhere has to say it."""
    file = embedded_studies()[name]
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    if "tuned" in content:
        content["tuned"] = str(file.parent / content["tuned"])
    return content


def study_content(generic: Path, target: Path) -> dict[str, Any]:
    """A study that takes seconds."""
    return {
        "study": "tiny",
        "data": {
            "generic": str(generic),
            "width": 48,
            "generic_valid": 40,
            # Said, so that the study is the same as a file and as a mapping.
            "whitespace": "collapse",
            "near_duplicates": "keep",
        },
        "models": {"nano": {"transformer": {"layers": 1, "width": 16, "heads": 2, "hidden": 32}}},
        "targets": {
            "harbour": {"source": str(target), "train": 100, "valid": 50, "test": 50},
        },
        "methods": ["pretraining", "target_only"],
        "training": {
            "steps": 12,
            "batch": 8,
            "big_batch": 64,
            "rate": 0.003,
            "warmup": 4,
            "evaluate_every": 4,
        },
        "fine_tuning": {"steps": 8, "rate": 0.001, "evaluate_every": 4},
    }


@pytest.fixture
def content(corpus: tuple[Path, Path]) -> dict[str, Any]:
    """The content of a study file, to be changed by a test."""
    return study_content(*corpus)


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Write a study file and return its path."""

    def write(content: dict[str, Any]) -> Path:
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return file

    return write


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.fixture
def adaptbench(tmp_path: Path) -> CommandLine:
    """Run ``adaptbench`` with the given arguments."""
    return CommandLine(tmp_path)
