"""The page: tables, figures, protocol, runs and environments of a study in one file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.files import write_atomically
from benchmark.report.figures.write import CAPTIONS, FIGURES, Pictures, make_pictures
from benchmark.report.html.protocol import protocol_grids
from benchmark.report.html.runs import environments_grid, runs_grid, status_counts
from benchmark.report.results.inputs import StudyResults, load_results
from benchmark.report.results.numbers import make_numbers
from benchmark.report.results.rules import footnotes, general_rules
from benchmark.report.tables.grid import Grid
from benchmark.report.tables.html import table_grids
from benchmark.report.tables.templates import fill


@dataclass(frozen=True)
class Picture:
    """A figure: its name, what it shows, and the file's content as a data URL."""

    name: str
    caption: str
    url: str


def write_report(folder: Path, diagnosis: Sequence[Grid] = ()) -> Path:
    """Write ``report.html`` into a study's results folder; the same records give the same bytes.

    Figures of the study are drawn again; others in its folder are shown as they are.
    ``diagnosis`` are the tables of what the diagnostic has said of its targets.

    Raises:
        UserError: no run of the study has ended, or the folder cannot be written.
    """
    results = load_results(folder)
    file = folder / "report.html"
    made = make_pictures(results, formats=["png"])
    write_atomically(file, _render(results, _shown(made, folder), made.left_out, diagnosis))
    return file


def _render(
    results: StudyResults,
    pictures: list[Picture],
    left_out: dict[str, str],
    diagnosis: Sequence[Grid],
) -> str:
    """The page as text."""
    return fill(
        "page.html.j2",
        study=results.study,
        status=status_counts(results),
        tables=table_grids(make_numbers(results)),
        footnotes=footnotes(results),
        rules=general_rules(results),
        pictures=pictures,
        left_out=left_out,
        protocol=protocol_grids(results),
        diagnosis=diagnosis,
        runs=runs_grid(results),
        environments=environments_grid(results),
    )


def _shown(made: Pictures, folder: Path) -> list[Picture]:
    pictures = [_picture(name, CAPTIONS[name], file["png"]) for name, file in made.made.items()]
    others = sorted(f for f in (folder / "figures").glob("*.png") if f.stem not in FIGURES)
    stale = "as it was last drawn"
    return pictures + [_picture(f.stem, f"{f.stem}, {stale}.", f.read_bytes()) for f in others]


def _picture(name: str, caption: str, content: bytes) -> Picture:
    return Picture(name, caption, f"data:image/png;base64,{base64.b64encode(content).decode()}")
