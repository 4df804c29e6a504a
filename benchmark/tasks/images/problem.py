"""A small problem: which half of a square stands out, in three styles, as files of folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 8
LABELS = ("left", "right")
STYLES = {"bright": (255, 0), "dim": (150, 20), "pale": (255, 110)}
"""Shades of the half and of the other."""

TARGET_STYLE = "dim"


def small_problem(folder: Path) -> dict[str, Any]:
    """Data, model and target; images are written below ``folder``."""
    for number, style in enumerate(STYLES):
        _write(folder / style, style, 150, seed=number)
    _write(folder / "target", TARGET_STYLE, 150, seed=len(STYLES))
    # Dropout, so that randomness which depends on what a method drew before shows.
    network = {"channels": [16], "hidden": 128, "dropout": 0.1}
    mixture = {style: {"source": {"files": str(folder / style)}} for style in STYLES}
    target = {"source": {"files": str(folder / "target")}, "train": 100, "valid": 50, "test": 50}
    return {
        "data": {
            "task": "images",
            "options": {"size": [SIDE, SIDE], "labels": list(LABELS)},
            "generic": {"mixture": mixture},
            "generic_valid": 40,
        },
        "models": {"tiny": {"network": network}},
        "targets": {"target": target},
    }


def _write(folder: Path, style: str, count: int, seed: int) -> None:
    from PIL import Image

    rng = np.random.default_rng(seed)
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(_half(label, style, rng)).save(folder / label / f"{number:03}.png")


def _half(label: str, style: str, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A square ``[SIDE, SIDE]`` with one bright half, and noise so that no two are alike."""
    spot, behind = STYLES[style]
    shades = np.full((SIDE, 2, SIDE // 2), float(behind))
    shades[:, LABELS.index(label)] = spot
    return (shades.reshape(SIDE, SIDE) + rng.normal(0, 8, (SIDE, SIDE))).clip(0, 255).astype("u1")
