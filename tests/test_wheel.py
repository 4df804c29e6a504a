"""The built wheel works in a clean environment and an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[1]


def call(*command: str | Path, folder: Path) -> str:
    """Standard output of a command that must succeed, run without anything of this checkout."""
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_in_a_clean_environment(tmp_path: Path) -> None:
    built, empty, environment = tmp_path / "built", tmp_path / "empty", tmp_path / "environment"
    empty.mkdir()
    call(sys.executable, "-m", "build", "--outdir", built, ROOT, folder=tmp_path)
    (wheel,) = built.glob("adaptbench-*.whl")
    call(sys.executable, "-m", "venv", environment, folder=tmp_path)
    binary = environment / "bin"
    pinned = ["--quiet", "--constraint", ROOT / "constraints.txt"]
    call(binary / "python", "-m", "pip", "install", *pinned, "--upgrade", "pip", folder=tmp_path)
    call(binary / "python", "-m", "pip", "install", *pinned, wheel, folder=tmp_path)

    adaptbench = binary / "adaptbench"
    assert wheel.name.split("-")[1] in call(adaptbench, "--version", folder=empty)
    assert "pretraining" in call(adaptbench, "list", folder=empty)
    call(adaptbench, "new-method", "mine", folder=empty)
    assert "FAILED" not in call(adaptbench, "check", "mine.py", folder=empty)
    chosen = ["--methods", "pretraining", "--targets", "medical_hpo"]
    assert "pretraining" in call(adaptbench, "run", "mini", *chosen, folder=empty)
    assert list(empty.glob("results/mini/runs/*/record.json"))
    assert (empty / "results" / "mini" / "figures" / "final.png").exists()
