"""A small problem: three subjects of made-up sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SUBJECTS = {
    "garden": "rose tulip spade soil water seed bloom prune hedge lawn bulb compost",
    "harbour": "ship anchor tide rope sail crane dock pilot buoy cargo wharf keel",
    "kitchen": "flour oven whisk butter salt simmer knife dough spice pan broth sieve",
}
TARGET_SUBJECT = "harbour"


def small_problem(folder: Path) -> dict[str, Any]:
    """Data, model and target; texts are written below ``folder``."""
    generic, target = _write_texts(folder)
    # Dropout, so that randomness which depends on what a method drew before shows.
    model = {"layers": 1, "width": 16, "heads": 2, "hidden": 32, "dropout": 0.1}
    return {
        "data": {"generic": str(generic), "width": 32, "generic_valid": 40},
        "models": {"tiny": {"transformer": model}},
        "targets": {"target": {"source": str(target), "train": 100, "valid": 50, "test": 50}},
    }


def _write_texts(folder: Path) -> tuple[Path, Path]:
    generic, target = folder / "generic", folder / "target.txt"
    generic.mkdir(parents=True)
    for number, subject in enumerate(SUBJECTS):
        text = "\n\n".join(_sentences(subject, 300, seed=number))
        (generic / f"{subject}.txt").write_text(text, encoding="utf-8")
    text = "\n\n".join(_sentences(TARGET_SUBJECT, 300, seed=len(SUBJECTS)))
    target.write_text(text, encoding="utf-8")
    return generic, target


def _sentences(subject: str, count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    words = SUBJECTS[subject].split()
    return [f"{number} {' '.join(rng.choice(words, 9))}." for number in range(count)]
