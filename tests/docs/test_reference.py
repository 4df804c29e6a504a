"""docs/reference is what the code says now."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GENERATOR = Path(__file__).parents[2] / "docs" / "generate_reference.py"


def test_the_reference_is_current(tmp_path: Path) -> None:
    checked = subprocess.run(
        [sys.executable, str(GENERATOR), "--check"],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "40"},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr
