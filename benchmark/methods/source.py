"""What the source of a method says, without importing it, which would import torch."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal, get_args

from benchmark.core.errors import UserError

PACKAGE = "baselines"
ENTRY_POINTS = "adaptbench.baselines"
DOOR = "benchmark.api"

Line = Literal["-", "--", ":", "-."]
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
LINES: tuple[Line, ...] = get_args(Line)


@dataclass(frozen=True)
class Style:
    """How a method is drawn, in every figure."""

    colour: str
    marker: str
    line: Line


@cache
def declared_styles() -> dict[str, Style]:
    """The style of every registered method that declares one, by the method's name.

    Raises:
        UserError: a declared style is no colour, marker and line.
    """
    return {name: style for file in _registered_files() for name, style in _declared_in(file)}


def private_imports(source: str) -> list[str]:
    """Modules of the project besides the door that a method's source imports."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return sorted({name for name in found if name.startswith("benchmark.") and name != DOOR})


def _registered_files() -> Iterator[Path]:
    package = importlib.util.find_spec(PACKAGE)
    for folder in (package and package.submodule_search_locations) or ():
        yield from sorted(Path(folder).rglob("*.py"))
    for module in sorted({point.module for point in entry_points(group=ENTRY_POINTS)}):
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            yield Path(spec.origin)


def _declared_in(file: Path) -> Iterator[tuple[str, Style]]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            values = dict(_assigned(node))
            name = values.get("name")
            if isinstance(name, ast.Constant) and "style" in values:
                yield str(name.value), _style(values["style"], f"{file}: {node.name}")


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for line in node.body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            yield line.targets[0].id, line.value
        elif isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.value:
            yield line.target.id, line.value


def _style(value: ast.expr, at: str) -> Style:
    try:
        colour, marker, line = ast.literal_eval(value)
    except (ValueError, TypeError):
        colour = marker = line = ast.unparse(value)
    valid = re.fullmatch("#[0-9A-Fa-f]{6}", str(colour)) and marker in MARKERS and line in LINES
    if not valid:
        raise UserError(
            f'{at}: style: must be three literal strings such as ("#0072B2", "s", "--"): a colour, '
            f"a marker ({' '.join(MARKERS)}) and a line ({' '.join(LINES)}); got "
            f"{ast.unparse(value)}"
        )
    return Style(colour, marker, line)
