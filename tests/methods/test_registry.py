"""Finding methods imports nothing that only some of them use."""

from __future__ import annotations

import subprocess
import sys


def test_registry_is_light() -> None:
    code = (
        "import sys; from benchmark.methods.registry import methods; methods(); "
        "print([m for m in ('sklearn', 'scipy.sparse', 'pandas', 'transformers') "
        "if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
