"""Every figure of a study, as PNG and as PDF."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from matplotlib import style as mpl_style
from matplotlib.figure import Figure

from benchmark.errors import unknown
from benchmark.files import replacing
from benchmark.report.cost_figure import cost_figure
from benchmark.report.curves_figure import curves_figure
from benchmark.report.final_figure import final_figure
from benchmark.report.inputs import StudyResults, load_results
from benchmark.report.overlap_figure import overlap_figure
from benchmark.report.panels import LeftOutError
from benchmark.report.profiles_figure import profiles_figure
from benchmark.report.selection_figure import selection_figure
from benchmark.report.style import RC
from benchmark.report.weights_figure import weights_figure

FIGURES: dict[str, Callable[[StudyResults], Figure]] = {
    "final": final_figure,
    "curves": curves_figure,
    "cost": cost_figure,
    "profiles": profiles_figure,
    "selection": selection_figure,
    "overlap": overlap_figure,
    "weights": weights_figure,
}
CAPTIONS = {
    "final": "Test loss of every seed, as trained and after fine-tuning.",
    "curves": "Valid loss against steps and against FLOPs.",
    "cost": "Test loss against everything that a method cost, and the best for each cost.",
    "profiles": "On how many targets each method is within a factor of the best.",
    "selection": "What each method trained on: shares of the provenance domains over training.",
    "overlap": "How much of what two methods trained on is the same rows.",
    "weights": "Domain weights: those that a proxy was trained with, and the mixture found.",
}
# Without what would differ from one making to the next, or from one machine to the next.
FORMATS: dict[str, dict[str, Any]] = {
    "png": {"metadata": {"Software": None}},
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
}


@dataclass(frozen=True)
class Drawn:
    """The figures of a study by name, and why it lacks the others."""

    figures: dict[str, Figure]
    left_out: dict[str, str]


def draw_figures(results: StudyResults, names: Iterable[str] = ()) -> Drawn:
    """Draw the figures of these names, all by default; call it inside the style.

    Raises:
        UserError: there is no figure of a name.
    """
    drawn = Drawn({}, {})
    for name in names or FIGURES:
        if name not in FIGURES:
            raise unknown("figure", name, FIGURES, at="--figure: ")
        try:
            drawn.figures[name] = FIGURES[name](results)
        except LeftOutError as error:
            drawn.left_out[name] = str(error)
    return drawn


def write_figures(results: Path, names: Iterable[str] = ()) -> tuple[list[Path], list[str]]:
    """Write figures as PNG and PDF into ``results/figures``.

    Gives the files, and a line for each figure that the records do not allow.

    Raises:
        UserError: no run of the study has ended, there is no figure of a name, or the folder
            cannot be written.
    """
    study_results = load_results(results)
    with mpl_style.context(["default", RC]):
        drawn = draw_figures(study_results, names)
        files = [
            file
            for name, figure in drawn.figures.items()
            for file in publish(figure, results, name)
        ]
    return files, [f"figure {name} left out: {why}" for name, why in drawn.left_out.items()]


def publish(figure: Figure, results: Path, name: str) -> list[Path]:
    """Save a figure as PNG and PDF under ``results/figures``."""
    files = []
    for ending in FORMATS:
        files.append(results / "figures" / f"{name}.{ending}")
        with replacing(files[-1]) as stream:
            save(figure, stream, ending)
    return files


def save(figure: Figure, stream: BinaryIO, ending: str) -> None:
    """Write a figure as ``png`` or ``pdf``; its layout is found once, for all formats."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    figure.savefig(stream, format=ending, **FORMATS[ending])
