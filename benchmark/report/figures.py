"""Figures of a study: final losses, training curves, and loss against cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib import style as mpl_style
from matplotlib.figure import Figure

from benchmark.files import replacing
from benchmark.report.cost_figure import cost_figure
from benchmark.report.curves_figure import curves_figure
from benchmark.report.final_figure import final_figure
from benchmark.report.inputs import StudyResults, load_results
from benchmark.report.style import RC

FIGURES: dict[str, Callable[[StudyResults], Figure]] = {
    "final": final_figure,
    "curves": curves_figure,
    "cost": cost_figure,
}
# What would differ from one making to the next, or from one machine to the next.
UNDATED = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def write_figures(results: Path) -> list[Path]:
    """Write every figure as PNG and PDF into ``results/figures``.

    Raises:
        UserError: no run of the study has ended, or the folder cannot be written.
    """
    study_results = load_results(results)
    files = []
    with mpl_style.context(["default", RC]):
        for name, draw in FIGURES.items():
            files += publish(draw(study_results), results, name)
    return files


def publish(figure: Figure, results: Path, name: str) -> list[Path]:
    """Save a figure as PNG and PDF under ``results/figures``."""
    return [_publish(figure, results / "figures" / f"{name}.{ending}") for ending in UNDATED]


def _publish(figure: Figure, file: Path) -> Path:
    ending = file.suffix.removeprefix(".")
    with replacing(file) as stream:
        figure.savefig(stream, format=ending, metadata=UNDATED[ending])
    return file
