"""docs/reference is what the code says now, and says what every key means."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

GENERATOR = Path(__file__).parents[2] / "docs" / "generate_reference.py"


@pytest.mark.long
def test_the_reference_is_current(tmp_path: Path) -> None:
    checked = subprocess.run(
        [sys.executable, str(GENERATOR), "--check"],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "40"},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr


class Described(BaseModel):
    """``told`` is told here."""

    told: int
    below: int
    """Told below."""
    bare: int


def test_keys_are_described_by_class_or_below(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = imported("key_tables", monkeypatch)
    (section,) = tables.Models().sections("page.md", [Described])
    assert list(tables.without_meaning(section)) == ["Described: `bare`"]


def test_a_key_without_a_meaning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = imported("generate_reference", monkeypatch)
    for page in ("study", "records", "method_page"):
        monkeypatch.setattr(generator, page, lambda _: "")
    monkeypatch.setattr(generator, "measurements", str)
    command = "## run\n\n| option | meaning |\n| --- | --- |\n| `--jobs` |  |\n"
    monkeypatch.setattr(generator, "commands", lambda: command)
    monkeypatch.setattr(generator, "FOLDER", Path("/nowhere"))
    with pytest.raises(SystemExit, match=r"commands\.md: run: `--jobs`$"):
        generator.main()


def imported(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A script of docs as a module."""
    monkeypatch.syspath_prepend(str(GENERATOR.parent))
    return importlib.import_module(name)
