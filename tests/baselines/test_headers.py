"""Files of methods: short headers, one door to import from, a page that is true of the settings."""

from __future__ import annotations

import ast
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from benchmark.api import LogUniform
from benchmark.methods.registry import methods

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "methods"
FILES = sorted((ROOT / "baselines").rglob("*.py"))
MODULES = {str(f.relative_to(ROOT)): ast.parse(f.read_text(encoding="utf-8")) for f in FILES}
HEADERS = {file: ast.get_docstring(module) or "" for file, module in MODULES.items()}
MOST_LINES = 12
SECTIONS = ["What it does", "Source", "Differences from the source", "Settings", "Cost"]
OWN = [name for name, method in methods().items() if method.__module__.startswith("baselines.")]


@pytest.mark.parametrize("file", HEADERS)
def test_headers_are_short(file: str) -> None:
    assert 1 <= len(HEADERS[file].splitlines()) <= MOST_LINES


@pytest.mark.parametrize("name", OWN)
def test_headers_lead_to_the_page(name: str) -> None:
    file = methods()[name].__module__.replace(".", "/") + ".py"
    assert HEADERS[file].splitlines()[-1] == f"More: docs/methods/{name}.md"


def test_headers_lead_to_pages_that_exist() -> None:
    named = {page for text in HEADERS.values() for page in re.findall(r"docs/\S+\.md", text)}
    assert [page for page in sorted(named) if not (ROOT / page).is_file()] == []


@pytest.mark.parametrize("file", MODULES)
def test_methods_import_by_one_door(file: str) -> None:
    found = [node for node in ast.walk(MODULES[file]) if isinstance(node, ast.Import)]
    names = {alias.name for node in found for alias in node.names}
    found_from = [node for node in ast.walk(MODULES[file]) if isinstance(node, ast.ImportFrom)]
    names |= {str(node.module) for node in found_from}
    assert {name for name in names if name.startswith("benchmark")} <= {"benchmark.api"}


@pytest.mark.parametrize("name", OWN)
def test_pages_have_every_section(name: str) -> None:
    found = re.findall(r"^## (.*)$", page(name), flags=re.MULTILINE)
    assert found in (SECTIONS, [*SECTIONS, "Measured"])


@pytest.mark.parametrize("name", OWN)
def test_pages_state_every_setting_as_the_code_has_it(name: str) -> None:
    settings = methods()[name].Hyperparameters
    rows = {cells[0]: cells for cells in table(page(name)) if "." not in cells[0]}
    assert rows.keys() == {f"`{field}`" for field in settings.model_fields}
    space = settings.search_space()
    for field, declared in settings.model_fields.items():
        _, default, _, searched, _ = rows[f"`{field}`"]
        if not isinstance(declared.default, BaseModel):
            assert values(default) == [declared.default]
        found = space.get(field)
        if isinstance(found, LogUniform):
            assert values(searched) == [found.low, found.high]
            assert searched.endswith(", log-uniform")
        else:
            assert values(searched) == list(found.values if found else [])


def test_the_list_links_every_page_once() -> None:
    linked = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \|", page("README"), flags=re.MULTILINE)
    assert sorted(linked) == [(name, name) for name in OWN]


def test_no_page_is_left_of_a_method_that_is_gone() -> None:
    assert sorted(file.stem for file in PAGES.glob("*.md")) == sorted([*OWN, "README"])


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def table(text: str) -> list[list[str]]:
    """Cells of each row of the settings' table."""
    section = text.split("## Settings")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def values(cell: str) -> list[Any]:
    """What a table's cell has between backticks."""
    return [value(text) for text in re.findall(r"`([^`]+)`", cell)]


def value(text: str) -> Any:
    """A number (also 1/3), True, False, None, or else the text."""
    for read in (ast.literal_eval, lambda fraction: float(Fraction(fraction))):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    return text
