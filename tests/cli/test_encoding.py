"""Terminals that are not UTF-8: every command ends as it would, with substitutes for signs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.encoding import substitute_unknown_signs
from tests.command_line import CommandLine

WriteStudy = Callable[[dict[str, Any]], Path]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("2.31 ± 0.02", b"2.31 +- 0.02"),
        ("a \N{EN DASH} b \N{MINUS SIGN} c → d…", b"a - b - c -> d..."),
        ("Müller", b"Muller"),
        ("─│┼╭", b"-|++"),
        ("法", b"[U+6CD5]"),
        ("\udcff", rb"\xff"),
    ],
)
def test_a_sign_has_a_substitute(text: str, printed: bytes) -> None:
    substitute_unknown_signs()
    assert text.encode("ascii", "adaptbench.substitute") == printed


@pytest.mark.long
def test_a_study_runs_in_a_terminal_that_knows_ascii_only(
    adaptbench: CommandLine,
    content: dict[str, Any],
    corpus: tuple[Path, Path],
    write_study: WriteStudy,
) -> None:
    """Its files and its domains have names that the terminal lacks."""
    generic = corpus[0].rename(corpus[0].with_name("Büchér 法律"))
    (generic / "garden.txt").rename(generic / "法律.txt")
    content["data"]["generic"] = str(generic)
    adaptbench.environment |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "LANG": "C"}
    file = write_study(content | {"methods": ["pretraining"]})
    ran = adaptbench("run", file)
    assert ran.returncode == 0, ran.stderr
    for command in (("table", file), ("data", "show", file), ("status", file)):
        done = adaptbench(*command)
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii()
    record = next((adaptbench.folder / "results").glob("*/runs/*/record.json"))
    assert "法律" in json.loads(record.read_text(encoding="utf-8"))["data"]["sources"]["generic"]
