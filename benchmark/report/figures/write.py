"""Every figure of a study, as PNG and as PDF."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, cpu_count, delayed
from matplotlib import style as mpl_style
from matplotlib.figure import Figure

from benchmark.core.errors import unknown
from benchmark.report.figures.cost import cost_figure
from benchmark.report.figures.curves import curves_figure
from benchmark.report.figures.final import final_figure
from benchmark.report.figures.fonts import take_replaced, warn_of_replaced
from benchmark.report.figures.overlap import overlap_figure
from benchmark.report.figures.panels import LeftOutError
from benchmark.report.figures.picture import FORMATS, encode, write
from benchmark.report.figures.profiles import profiles_figure
from benchmark.report.figures.scaling import scaling_figure
from benchmark.report.figures.selection import selection_figure
from benchmark.report.figures.style import RC
from benchmark.report.figures.weights import weights_figure
from benchmark.report.results.inputs import StudyResults, load_results

FIGURES: dict[str, Callable[[StudyResults], Figure]] = {
    "final": final_figure,
    "curves": curves_figure,
    "cost": cost_figure,
    "overlap": overlap_figure,
    "selection": selection_figure,
    "profiles": profiles_figure,
    "weights": weights_figure,
    "scaling": scaling_figure,
}
"""As they are shown, and shared out among cores in turn: neighbours take equally long."""
SECONDS_TO_DRAW = 600
"""A worker that is killed is missed only after so long."""
CAPTIONS = {
    "final": "Test loss of every seed, as trained and after fine-tuning.",
    "curves": "Valid loss against steps and against FLOPs.",
    "cost": "Test loss against everything that a method cost, and the best for each cost.",
    "overlap": "How much of what two methods trained on is the same rows.",
    "selection": "What each method trained on: shares of the provenance domains over training.",
    "profiles": "On how many targets each method is within a factor of the best.",
    "weights": "Domain weights: those that a proxy was trained with, and the mixture found.",
    "scaling": "Test loss of models of several sizes against FLOPs, with fitted power laws.",
}


@dataclass(frozen=True)
class Pictures:
    """The figures of a study by name, as files' contents by format; why it lacks the others."""

    made: dict[str, dict[str, bytes]]
    left_out: dict[str, str]


def make_pictures(
    results: StudyResults, names: Iterable[str] = (), formats: Iterable[str] = FORMATS
) -> Pictures:
    """Draw the figures of these names, all by default, on all cores.

    Raises:
        UserError: there is no figure of a name.
    """
    asked = list(names) or list(FIGURES)
    for name in asked:
        if name not in FIGURES:
            raise unknown("figure", name, FIGURES, at="--figure: ")
    workers = min(len(asked), cpu_count())
    shares = [asked[start::workers] for start in range(workers)]
    # Forked workers end with this process; those of joblib's own backend would outlive a kill.
    # One alone is drawn in this process, which cannot be missed.
    timeout = SECONDS_TO_DRAW if workers > 1 else None
    parallel = Parallel(n_jobs=workers, backend="multiprocessing", timeout=timeout)
    made = parallel(delayed(_make)(results, tuple(formats), share) for share in shares)
    warn_of_replaced({character for _, replaced in made for character in replaced})
    by_name = {name: drawn for share, _ in made for name, drawn in share.items()}
    by_name = {name: by_name[name] for name in asked}
    return Pictures(
        {name: contents for name, contents in by_name.items() if isinstance(contents, dict)},
        {name: reason for name, reason in by_name.items() if isinstance(reason, str)},
    )


def _make(
    results: StudyResults, formats: tuple[str, ...], names: list[str]
) -> tuple[dict[str, dict[str, bytes] | str], set[str]]:
    """By name, a figure's contents by format, or why the records do not allow it.

    Also the characters that no installed font has.
    """
    made: dict[str, dict[str, bytes] | str] = {}
    with mpl_style.context(["default", RC]):
        for name in names:
            try:
                made[name] = encode(FIGURES[name](results), formats)
            except LeftOutError as error:
                made[name] = str(error)
    return made, take_replaced()


def write_figures(results: Path, names: Iterable[str] = ()) -> tuple[list[Path], list[str]]:
    """Write figures as PNG and PDF into ``results/figures``.

    Gives the files, and a line for each figure that the records do not allow.

    Raises:
        UserError: no run of the study has ended, there is no figure of a name, or the folder
            cannot be written.
    """
    pictures = make_pictures(load_results(results), names)
    files = [
        file for name, contents in pictures.made.items() for file in write(contents, results, name)
    ]
    return files, [f"figure {name} left out: {why}" for name, why in pictures.left_out.items()]
