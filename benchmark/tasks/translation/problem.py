"""A small problem: words of three subjects, translated by spelling them backwards."""

from __future__ import annotations

import json
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
    """Data, model and target; pairs are written below ``folder``."""
    generic, target = folder / "generic", folder / "target.jsonl"
    generic.mkdir(parents=True)
    for number, subject in enumerate(SUBJECTS):
        _write(generic / f"{subject}.jsonl", subject, seed=number)
    _write(target, TARGET_SUBJECT, seed=len(SUBJECTS))
    # Dropout, so that randomness which depends on what a method drew before shows.
    model = {"layers": 1, "width": 16, "heads": 2, "hidden": 32, "dropout": 0.1}
    fields = {"text_field": "english", "answer_field": "backwards"}
    source = {"files": str(target), **fields}
    return {
        "data": {
            "task": "translation",
            "generic": {"files": str(generic), **fields},
            "width": 48,
            "min_tokens": 4,
            "generic_valid": 40,
        },
        "models": {"tiny": {"transformer": model}},
        "targets": {"target": {"source": source, "train": 100, "valid": 50, "test": 50}},
    }


def _write(file: Path, subject: str, seed: int, count: int = 300) -> None:
    rng = np.random.default_rng(seed)
    words = SUBJECTS[subject].split()
    with file.open("w", encoding="utf-8") as out:
        for number in range(count):
            text = f"{number} {' '.join(rng.choice(words, 3))}"[:23]
            out.write(json.dumps({"english": text, "backwards": text[::-1]}) + "\n")
