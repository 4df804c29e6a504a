"""Near-duplicates among a million rows: how long, and in how much memory.

Run with ``python -m pytest -m slow -s tests/data/test_near_scale.py`` to see the figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmark.data import DataConfig, TargetConfig, build_rows

ROWS, WIDTH = 1_000_000, 128
EVERY = 1000
"""One generic row in so many resembles a row of the target."""

SIZES = {"train": 500, "valid": 500, "test": 1000}


def write_texts(file: Path, rows: int, seed: int, like: np.ndarray | None = None) -> np.ndarray:
    """``rows`` documents of random words that fill a row each; some are ``like`` others."""
    draws = np.random.default_rng(seed)
    words = draws.integers(97, 123, size=(5000, 8)).astype(np.uint8)
    words[:, 7] = 32
    texts = words[draws.integers(0, len(words), size=(rows, WIDTH // 8))].reshape(rows, WIDTH)
    if like is not None:
        texts[::EVERY] = like[: len(texts[::EVERY])]
        texts[::EVERY, 60] = ord("#")
    with file.open("wb") as out:
        out.writelines(b'{"text": "' + text.tobytes() + b'"}\n' for text in texts)
    return texts


def measure(folder: Path, near: str) -> dict[str, float]:
    """Prepare in a process of its own: seconds, processor seconds, MiB, rows removed."""
    code = f"""
import json, resource, sys, time
from pathlib import Path
from benchmark.data import prepare
from tests.data.test_near_scale import data_of
start = time.perf_counter()
made = prepare(*data_of(Path({str(folder)!r}), {near!r}), Path({str(folder)!r}) / "cache")
used = resource.getrusage(resource.RUSAGE_SELF)
near = made.report.near_duplicates
removed = sum(near.removed["generic"].values()) if near else 0
print(json.dumps({{"seconds": time.perf_counter() - start, "mebibytes": used.ru_maxrss / 1024,
                   "processor": used.ru_utime + used.ru_stime, "removed": removed}}))
"""
    made = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        check=True,
        stdout=subprocess.PIPE,
    )
    return dict(json.loads(made.stdout))


def data_of(folder: Path, near: str) -> tuple[DataConfig, TargetConfig]:
    """The settings of the data in ``folder``."""
    generic, target = (str(folder / f"{name}.jsonl") for name in ("generic", "target"))
    data = {"generic": generic, "width": WIDTH, "near_duplicates": near}
    return DataConfig.model_validate(data), TargetConfig.model_validate(SIZES | {"source": target})


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_million_rows_take_minutes_and_little_memory(tmp_path: Path) -> None:
    own = write_texts(tmp_path / "target.jsonl", 3000, seed=1)
    write_texts(tmp_path / "generic.jsonl", ROWS, seed=0, like=own)
    data, _ = data_of(tmp_path, "keep")
    start = time.perf_counter()
    build_rows(data.generic, data, tmp_path / "cache")
    print(f"\nrows built in {time.perf_counter() - start:.0f} s")
    keep, remove = (measure(tmp_path, near) for near in ("keep", "remove"))
    for name, taken in (("keep", keep), ("remove", remove)):
        print(name, {key: round(value) for key, value in taken.items()})
    assert 200 < remove["removed"] < 1000
    assert remove["processor"] < 600
    assert remove["mebibytes"] < 2048
    # The rows themselves are mapped, not read into memory, but count where they were touched.
    assert remove["mebibytes"] - keep["mebibytes"] < 512
