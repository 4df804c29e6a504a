"""What docs/adding-a-method.md shows is what works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.contract import CHECKS, Problem, findings
from benchmark.methods.registry import find_method

TEXT = (Path(__file__).parents[2] / "docs" / "adding-a-method.md").read_text(encoding="utf-8")
METHODS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
WORDS_IN_FIVE_MINUTES = 5 * 238


@pytest.mark.parametrize("number", range(len(METHODS)))
def test_shown_methods_keep_the_contract(problem: Problem, tmp_path: Path, number: int) -> None:
    file = tmp_path / "shown.py"
    file.write_text(METHODS[number], encoding="utf-8")
    found = findings(find_method(str(file)), problem)
    assert [finding for finding in found if not finding.passed] == []


def test_the_smallest_method_is_small() -> None:
    assert len(METHODS[0].strip().splitlines()) <= 25


def test_the_page_names_every_check() -> None:
    assert [check for check in CHECKS if f"| `{check}` |" not in TEXT] == []


def test_the_page_is_read_in_five_minutes() -> None:
    assert len(TEXT.split()) <= WORDS_IN_FIVE_MINUTES
