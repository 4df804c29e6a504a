"""What a newcomer reads first: its links lead somewhere, its targets exist, its version is ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from benchmark import __version__

ROOT = Path(__file__).parents[2]
FIRST = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*FIRST, ROOT / "examples" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def prose(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page make."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(prose(page)) if not ELSEWHERE.match(link)]
    assert [link for link in links if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether a relative link is to a file or folder here, and to a heading that it has."""
    path, _, anchor = link.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists() or not file.is_relative_to(ROOT):
        return False
    return not anchor or file.suffix != ".md" or anchor in anchors(file)


def test_the_first_page_leads_to_the_others() -> None:
    links = set(LINK.findall(prose(FIRST[0])))
    assert {"CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "examples/README.md"} <= links


def test_contributing_names_the_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    defined = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", FIRST[1].read_text(encoding="utf-8")))
    assert named == set(phony.split())
    assert named <= defined


def test_contributing_says_what_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    ran = re.findall(r"^make ([a-z-]+)$", ci, flags=re.MULTILINE)
    (said,) = re.findall(r"^`\.ci/run` .*: (.*)\.$", FIRST[1].read_text(encoding="utf-8"), re.M)
    assert re.split(r", | and ", said) == ran


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == __version__
    assert {"message", "title", "authors"} <= citation.keys()
    assert all("name" in author for author in citation["authors"])
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= paper.keys()


def test_the_changelog_knows_this_version() -> None:
    text = FIRST[2].read_text(encoding="utf-8")
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", text, flags=re.MULTILINE)
    assert versions[0] == __version__


def test_the_moved_modules_are_where_the_changelog_says() -> None:
    """Each full name in the second column of its table is a module or folder here."""
    text = FIRST[2].read_text(encoding="utf-8")
    table = text.split("### Moved modules")[1].split("\n## ")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")]
    named = [
        name for row in rows for name in re.findall(r"`((?:benchmark|baselines)\.[\w.]+)`", row)
    ]
    assert len(named) > 20
    places = [ROOT / name.replace(".", "/") for name in named]
    known = [place.is_dir() or place.with_suffix(".py").is_file() for place in places]
    missing = [name for name, there in zip(named, known, strict=True) if not there]
    assert [name for name in missing if name != "benchmark.data.PreparedData"] == []
