"""``adaptbench paper``: from the published files to tables and figures, or one clear line."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import CommandLine

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference"


def test_it_prints_and_writes_the_published_comparison(adaptbench: CommandLine) -> None:
    study = ROOT / "results" / "published" / "mini"
    result = adaptbench("paper", "--reference", REFERENCE, "--with", study, "--rule", "last")
    assert result.returncode == 0, result.stderr
    for words in ("0.505", "0.8186", "rule last: the last logged step", "Study mini", "200 steps"):
        assert words in result.stdout
    folder = adaptbench.folder / "results" / "paper"
    for name in ("paper.md", "paper.tex", "as_trained.csv", "figures/trade-off.pdf"):
        assert (folder / name).stat().st_size > 0
        assert name in result.stderr


def test_outside_a_checkout_it_says_what_is_missing(adaptbench: CommandLine) -> None:
    result = adaptbench("paper")
    assert result.returncode == 2
    assert "results/reference/reference_runs.csv.gz: not found" in result.stderr
    assert "--reference" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_unknown_rule_is_refused_with_the_valid_ones(adaptbench: CommandLine) -> None:
    result = adaptbench("paper", "--rule", "middle")
    assert result.returncode == 2
    assert "middle" in result.stderr
    assert "last" in result.stderr
    assert "best" in result.stderr
