"""The page of a study: everything in one file, the same bytes again, nothing read as markup."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.diagnostic.records import read_diagnosis
from benchmark.diagnostic.section import diagnosis_grids
from benchmark.report.html.page import write_report

Build = Callable[..., Path]
RESULTS = Path(__file__).parents[3] / "results"
DIAGNOSIS = RESULTS / "diagnosis" / "diagnosis" / "mini-kjv-s0.json"


def page_of(results: Path) -> str:
    return write_report(results, diagnosis_grids(results)).read_text(encoding="utf-8")


def test_the_same_records_give_the_same_bytes(build: Build) -> None:
    results = build(targets=("awsdocs",), methods=("pretraining", "dds"))
    assert page_of(results) == page_of(results)


def test_the_page_needs_nothing_from_elsewhere(build: Build) -> None:
    page = page_of(build(targets=("awsdocs",), methods=("pretraining", "dds")))
    links = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert "default-src 'none'" in page


def test_every_run_has_its_status_and_reason(build: Build) -> None:
    results = build(failed=[("awsdocs", "dds", 0)], pending=[("gutenberg", "mixing", 0)])
    page = page_of(results)
    assert "12 runs: 10 done, 1 failed, 1 missing" in page
    assert "step 150: the loss is not finite (nan) &amp; 100% lost" in page
    assert "pending: mixing on gutenberg, seed 0" in page


def test_rules_protocol_and_environment_are_there(build: Build) -> None:
    page = page_of(build(targets=("awsdocs",), methods=("pretraining", "dds")))
    for text in ("Test split. As trained: last step", "big batch", "118,016", "123,456"):
        assert text in page
    for text in ("01234567", "Example CPU @ 2.50GHz", "torch 2.13.0"):
        assert text in page


def test_a_description_is_not_read_as_markup(build: Build) -> None:
    page = page_of(
        build(targets=("awsdocs",), methods=("random",), description="<script>alert(1)</script>")
    )
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_other_figures_of_the_folder_are_shown(build: Build) -> None:
    results = build(targets=("awsdocs",), methods=("random",))
    before = page_of(results).count("<figure>")
    (results / "figures").mkdir()
    (results / "figures" / "selection-chat.png").write_bytes(b"\x89PNG")
    assert page_of(results).count("<figure>") == before + 1


def test_verdicts_are_shown(build: Build) -> None:
    results = build(targets=("awsdocs",), methods=("random",))
    assert "has not been asked" in page_of(results)
    (results / "diagnosis").mkdir()
    shutil.copy(DIAGNOSIS, results / "diagnosis")
    record = read_diagnosis(DIAGNOSIS)
    page = page_of(results)
    section = page[page.index('id="diagnosis"') : page.index('id="runs"')]
    reliability = record.last.measures["reliability"].value
    assert f"{reliability:.2f}" in section
    assert record.verdict.sentence in section
    for answer in record.verdict.answers.values():
        assert answer.text in section


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_broken_diagnosis_is_named(build: Build, text: str) -> None:
    results = build(targets=("awsdocs",), methods=("random",))
    (results / "diagnosis").mkdir()
    (results / "diagnosis" / "broken.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"broken\.json: not a valid diagnosis"):
        diagnosis_grids(results)
