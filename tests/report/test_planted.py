"""The planted truth, as published: who finds the hidden rows, and how many times the base rate."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.report.selection import selection_frame, selection_summary

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "planted"
AT_LEAST = {"classifier": 10, "dsir": 10, "dds": 5, "soba": 3, "anograd": 3}


@pytest.fixture(scope="module")
def enrichment() -> dict[str, float]:
    """Each method's share of hidden rows in the last quarter of training, over the base rate."""
    summary = selection_summary(selection_frame(PUBLISHED, "planted"))
    return dict(zip(summary["method"], summary["enrichment"], strict=True))


@pytest.mark.parametrize("method", AT_LEAST)
def test_a_selector_finds_the_hidden_rows(enrichment: dict[str, float], method: str) -> None:
    assert enrichment[method] >= AT_LEAST[method]


def test_random_stays_at_the_base_rate(enrichment: dict[str, float]) -> None:
    assert 0.7 < enrichment["random"] < 1.3
