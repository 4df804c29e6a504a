"""Finding methods imports nothing that only some of them use."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from baselines.pretraining import Pretraining
from benchmark.core.errors import UserError
from benchmark.methods.registry import planned_method, resolve
from benchmark.study.study import RunSpec, Study


def test_registry_is_light() -> None:
    code = (
        "import sys; from benchmark.methods.registry import methods; methods(); "
        "print([m for m in ('sklearn', 'scipy.sparse', 'pandas', 'transformers') "
        "if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_key_depends_on_the_revision(
    content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def planned() -> RunSpec:
        return resolve(Study.model_validate(content | {"methods": ["pretraining"]})).runs()[0]

    first = planned()
    assert "revision" not in first.model_dump()["method"]
    assert planned_method(first.method) is Pretraining
    monkeypatch.setattr(Pretraining, "revision", 2)
    second = planned()
    assert first.key != second.key
    assert RunSpec.model_validate_json(second.model_dump_json()) == second
    with pytest.raises(UserError, match="planned with revision 1"):
        planned_method(first.method)
