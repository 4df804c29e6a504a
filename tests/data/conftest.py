"""Small local corpora and a cache of their own for every test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
]
WriteJsonl = Callable[..., Path]


def sentences(count: int, *, words: int = 30, seed: int = 0) -> list[str]:
    """Distinct random texts of about six characters a word."""
    draws = np.random.default_rng(seed).integers(0, len(WORDS), size=(count, words))
    return [f"{i} " + " ".join(WORDS[j] for j in row) for i, row in enumerate(draws)]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache folder."""
    return tmp_path / "cache"


@pytest.fixture
def write_jsonl(tmp_path: Path) -> WriteJsonl:
    """Write texts, or whole records, as JSON lines under the test's folder."""

    def write(name: str, items: Iterable[str | dict[str, object]]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as handle:
            for item in items:
                record = {"text": item} if isinstance(item, str) else item
                handle.write(json.dumps(record) + "\n")
        return path

    return write
