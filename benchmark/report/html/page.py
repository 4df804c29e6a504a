"""The page: tables, figures, protocol, runs and environments of a study in one file."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import style as mpl_style

from benchmark.files import write_atomically
from benchmark.report.blocks import build_blocks
from benchmark.report.figures import FIGURES, UNDATED
from benchmark.report.html.diagnosis import diagnosis_grids
from benchmark.report.html.grid import grid_of_block
from benchmark.report.html.protocol import protocol_grids
from benchmark.report.html.runs import environments_grid, runs_grid, status_counts
from benchmark.report.inputs import StudyResults, load_results
from benchmark.report.rules import footnotes, general_rules
from benchmark.report.style import RC

PACKAGE = "benchmark.report.html"
TARGETS_ABREAST = 4
CAPTIONS = {
    "final": "Test loss of every seed, as trained and after fine-tuning.",
    "curves": "Valid loss against steps and against FLOPs.",
    "cost": "Test loss against everything that a method cost.",
}


@dataclass(frozen=True)
class Picture:
    """A figure: its name, what it shows, and the file's content as a data URL."""

    name: str
    caption: str
    url: str


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a study's results folder; the same records give the same bytes.

    Figures of the study are drawn again; others in its folder are shown as they are.

    Raises:
        UserError: no run of the study has ended, a file of the diagnostic is not valid, or the
            folder cannot be written.
    """
    results = load_results(folder)
    file = folder / "report.html"
    write_atomically(file, render(results, _pictures(results, folder), folder))
    return file


def render(results: StudyResults, pictures: list[Picture], folder: Path) -> str:
    """The page as text; ``folder`` is where the diagnostic's files are, if there are any."""
    environment = Environment(
        loader=PackageLoader(PACKAGE, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2").render(
        study=results.study,
        style=_inline("page.css"),
        script=_inline("page.js"),
        status=status_counts(results),
        tables=[grid_of_block(block) for block in build_blocks(results, TARGETS_ABREAST)],
        footnotes=footnotes(results),
        rules=general_rules(results),
        pictures=pictures,
        protocol=protocol_grids(results),
        diagnosis=diagnosis_grids(folder),
        runs=runs_grid(results),
        environments=environments_grid(results),
    )


def _inline(name: str) -> Markup:
    return Markup((resources.files(PACKAGE) / name).read_text(encoding="utf-8"))


def _pictures(results: StudyResults, folder: Path) -> list[Picture]:
    pictures = []
    with mpl_style.context(["default", RC]):
        for name, draw in FIGURES.items():
            stream = BytesIO()
            draw(results).savefig(stream, format="png", metadata=UNDATED["png"])
            pictures.append(_picture(name, CAPTIONS.get(name, name), stream.getvalue()))
    others = sorted(f for f in (folder / "figures").glob("*.png") if f.stem not in FIGURES)
    stale = "as it was last drawn"
    return pictures + [_picture(f.stem, f"{f.stem}, {stale}.", f.read_bytes()) for f in others]


def _picture(name: str, caption: str, content: bytes) -> Picture:
    return Picture(name, caption, f"data:image/png;base64,{base64.b64encode(content).decode()}")
