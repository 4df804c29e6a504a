"""What the diagnostic has said of a study's targets, as far as it has been asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.report.html.grid import Grid, grid

SHOWN_ITEMS = 8
"""A longer list is told by its length."""
VERDICT = "verdict"


def diagnosis_grids(folder: Path) -> list[Grid]:
    """A table of fields and values for each ``diagnosis/*.json`` of a results folder.

    Whatever fields there are, are shown, those of the verdict first.

    Raises:
        UserError: a file is not a JSON object.
    """
    return [_grid(file) for file in sorted((folder / "diagnosis").glob("*.json"))]


def _grid(file: Path) -> Grid:
    fields = list(_leaves(_read(file)))
    first = [field for field in fields if VERDICT in field[0]]
    rest = [field for field in fields if field not in first]
    return grid(file.stem, ("field", "value"), [*first, *rest])


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not valid JSON: {error}; remove it to redo") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: a diagnosis is a JSON object (got {type(content).__name__})")
    return content


def _leaves(content: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Every field below a JSON object by its dotted name, with its value as text."""
    for key, value in content.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            yield from _leaves(value, f"{name}.")
        elif isinstance(value, list):
            yield name, _list(value)
        else:
            yield name, _text(value)


def _list(values: list[Any]) -> str:
    if len(values) > SHOWN_ITEMS or any(isinstance(value, dict | list) for value in values):
        return f"{len(values)} values"
    return ", ".join(_text(value) for value in values)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
