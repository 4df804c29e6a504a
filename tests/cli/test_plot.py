"""Figures from the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.command_line import CommandLine

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "mini"


def test_chosen_figures_are_drawn_and_others_named(adaptbench: CommandLine) -> None:
    results = adaptbench.folder / "results" / "mini"
    shutil.copytree(PUBLISHED, results, ignore=shutil.ignore_patterns("figures"))
    found = adaptbench("plot", "mini", "--figure", "final", "--figure", "weights")
    assert found.returncode == 0, found.stderr
    drawn = {file.name for file in (results / "figures").iterdir()}
    assert drawn == {"final.png", "final.pdf"}
    assert "figure weights left out: " in found.stderr

    wrong = adaptbench("plot", "mini", "--figure", "finale")
    assert wrong.returncode == 2
    assert "--figure: unknown figure 'finale' (did you mean 'final'" in wrong.stderr
    assert "weights" in wrong.stderr
