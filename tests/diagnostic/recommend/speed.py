"""How long tier 0 takes on a large corpus: ``python -m tests.diagnostic.recommend.speed``.

A made-up corpus of 50 MB (or as many as the first argument says) of words from a Zipf-like
vocabulary, a target of its own words, and the seconds of `text_measures`, building rows apart.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmark.data import prepare
from benchmark.data.config import DataConfig, TargetConfig
from benchmark.diagnostic.recommend.text import text_measures

WORDS = 20_000
SAMPLE = 1000


def write(file: Path, megabytes: float, seed: int) -> None:
    """Paragraphs of about 600 letters; frequent words differ between seeds."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(WORDS)])
    with file.open("w", encoding="utf-8") as stream:
        while stream.tell() < megabytes * 1e6:
            for _ in range(1000):
                chosen = words[np.minimum(rng.zipf(1.3, 100), WORDS) - 1]
                stream.write(" ".join(chosen) + "\n\n")


def main(megabytes: float) -> None:
    """Print the seconds."""
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "generic.txt", megabytes, 0)
        write(folder / "target.txt", 0.3, 1)
        config = DataConfig.model_validate({"generic": str(folder / "generic.txt"), "width": 64})
        target = TargetConfig.model_validate(
            {"source": str(folder / "target.txt"), "train": SAMPLE, "valid": 100, "test": 100}
        )
        start = time.perf_counter()
        data = prepare(config, target, folder / "cache")
        built = time.perf_counter()
        processor = time.process_time()
        found = text_measures("target", data)
        spent = time.process_time() - processor
        print(f"{megabytes:g} MB, {len(data.generic):,} rows, built in {built - start:.1f} s")
        print(f"tier 0: {time.perf_counter() - built:.1f} s, {spent:.1f} s of processor time")
        print(", ".join(f"{key} {value:.3f}" for key, value in found.items()))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 50.0)
