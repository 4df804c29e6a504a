"""Names in tables are read as they are written, in Markdown and in LaTeX."""

from __future__ import annotations

import pytest

from benchmark.report.tables.blocks import Block, Cell, ungrouped
from benchmark.report.tables.rendering import code_markdown, escape_latex, escape_markdown, latex


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("in_a_word", "in_a_word"),
        ("__init__", r"\_\_init\_\_"),
        ("a|b", r"a\|b"),
        ("a\\b", r"a\\b"),
        ("&lt;", r"\&lt;"),
        ("~~gone~~", r"\~\~gone\~\~"),
        ("$5_$10", r"\$5\_\$10"),
        ("<b>", r"\<b>"),
        ("`*[#]", r"\`\*\[\#\]"),
        ("two\nlines", "two lines"),
        ("\x1b[31mred\u202e", r"\[U+001B\]\[31mred\[U+202E\]"),
        ("עברית 🚀", "עברית 🚀"),
    ],
)
def test_markdown_shows_a_name_as_it_is(name: str, expected: str) -> None:
    assert escape_markdown(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a--b", "a-{}-b"),
        ("under_$5 & 10%", r"under\_\$5 \& 10\%"),
        ("a\\b{~^}", r"a\textbackslash{}b\{\textasciitilde{}\textasciicircum{}\}"),
        ("bell\x07", "bell[U+0007]"),
        ("法", "[U+6CD5]"),
    ],
)
def test_latex_shows_a_name_as_it_is(name: str, expected: str) -> None:
    assert escape_latex(name) == expected


@pytest.mark.parametrize("name", ["法律", "[0]", "*"])
def test_a_row_does_not_begin_with_what_belongs_to_the_line_above(name: str) -> None:
    r"""After ``\\`` and ``\toprule``, LaTeX takes a bracket for an optional length."""
    block = Block("title", ungrouped(["loss"]), ((name, (Cell("1"),)),), (), corner=name)
    lines = [line for line in latex(block).splitlines() if line.endswith(r"\\")]
    assert len(lines) == 2
    assert all(line.startswith("{}") for line in lines)


def test_code_holds_backticks() -> None:
    assert code_markdown("law") == "`law`"
    assert code_markdown("a``b") == "``` a``b ```"
