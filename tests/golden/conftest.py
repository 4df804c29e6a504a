"""Golden vectors of the public reference, from ADAPTBENCH_GOLDEN or the copy in tests/data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(os.environ.get("ADAPTBENCH_GOLDEN", Path(__file__).parent / "vectors"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture, stem in (("single_file", "single"), ("trajectory_file", "traj64")):
        if fixture in metafunc.fixturenames:
            files = sorted(FOLDER.glob(f"{stem}_seed*.npz"))
            assert files, f"no {stem}_seed*.npz in {FOLDER}"
            ids = [file.stem for file in files]
            metafunc.parametrize(fixture, files, ids=ids, scope="module")


@pytest.fixture(scope="module")
def single(single_file: Path) -> dict[str, np.ndarray]:
    """One-step quantities, float32."""
    with np.load(single_file, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def trajectory(trajectory_file: Path) -> dict[str, np.ndarray]:
    """Twenty-step trajectories, float64."""
    with np.load(trajectory_file, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(autouse=True)
def on_device(device: str) -> Iterator[None]:
    """Everything that is created inside is on the device."""
    torch.set_default_device(device)
    yield
    torch.set_default_device(None)


@pytest.fixture
def float64() -> Iterator[None]:
    """Everything that is created inside is float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
