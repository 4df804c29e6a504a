"""How many rows and batches a diagnosis needs: its measures against the size of the probe.

From one large diagnosis: the measures of random parts of it cost nothing more. Parts of nearly
the whole resemble each other, so the spread is that of the measure at small sizes only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib import style as mpl_style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from benchmark.core.randomness import generator
from benchmark.diagnostic.diagnose import Diagnosis
from benchmark.diagnostic.measures import Array
from benchmark.diagnostic.probe import Alignments
from benchmark.diagnostic.records import DiagnosisRecord
from benchmark.diagnostic.summary import Observed, measure, plain_draw
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import COLOURS, GREY, RC

SHOWN = {
    "reliability": COLOURS[5],
    "null_reliability": COLOURS[7],
    "headroom": COLOURS[4],
    "transfer_correlation": COLOURS[3],
}
DRAWS = 20
FEWEST_ROWS, FEWEST_BATCHES = 32, 4
Part = Callable[[Observed, int, np.random.Generator], Observed]


@dataclass(frozen=True)
class Convergence:
    """Measures of random parts: ``values[name]`` ``[sizes, DRAWS]``, by the names of `SHOWN`."""

    sizes: tuple[int, ...]
    values: dict[str, Array]


def converge(diagnosis: Diagnosis, part: Part, sizes: tuple[int, ...]) -> Convergence:
    """The last checkpoint's measures for random parts of these sizes."""
    observed, record = diagnosis.observed, diagnosis.record
    last = replace(observed, checkpoints=observed.checkpoints[-1:])
    found = np.empty((len(sizes), DRAWS, len(SHOWN)))
    for i, size in enumerate(sizes):
        for draw in range(DRAWS):
            rng = generator(record.seed, "diagnosis convergence", size, draw)
            some = part(last, size, rng)
            values = measure(some, plain_draw(some, record.settings, record.seed))[-1]
            found[i, draw] = [values[name] for name in SHOWN]
    return Convergence(sizes, dict(zip(SHOWN, np.moveaxis(found, -1, 0), strict=True)))


def fewer_rows(observed: Observed, size: int, rng: np.random.Generator) -> Observed:
    """As if only ``size`` random generic rows had been probed, as many of each half."""
    half = observed.checkpoints[-1].null[0].shape[1]
    halves = [np.sort(rng.permutation(half)[: size // 2]) for _ in range(2)]
    rows = np.concatenate([halves[0], half + halves[1]])
    return replace(
        observed,
        checkpoints=[_with_rows(each, rows, halves) for each in observed.checkpoints],
        displaced=observed.displaced[rows],
    )


def fewer_batches(observed: Observed, size: int, rng: np.random.Generator) -> Observed:
    """As if only ``size`` random batches of the target, and as many of the null, had been taken."""
    batches = np.sort(rng.permutation(len(observed.checkpoints[-1].generic))[:size])
    return replace(
        observed, checkpoints=[_with_batches(each, batches) for each in observed.checkpoints]
    )


def _with_rows(
    alignments: Alignments, rows: NDArray[np.int64], halves: list[NDArray[np.int64]]
) -> Alignments:
    first, second = (null[:, kept] for null, kept in zip(alignments.null, halves, strict=True))
    return replace(alignments, generic=alignments.generic[:, rows], null=(first, second))


def _with_batches(alignments: Alignments, batches: NDArray[np.int64]) -> Alignments:
    kept = np.isin(alignments.batch_of, batches)
    first, second = (null[batches] for null in alignments.null)
    return replace(
        alignments,
        generic=alignments.generic[batches],
        target=alignments.target[np.ix_(batches, kept)],
        batch_of=np.searchsorted(batches, alignments.batch_of[kept]),
        null=(first, second),
    )


def write_convergence(folder: Path, diagnosis: Diagnosis) -> list[Path]:
    """Draw the convergence of a diagnosis as PNG and PDF into ``folder/figures``."""
    with mpl_style.context(["default", RC]):
        figure = convergence_figure(diagnosis)
        return publish(figure, folder, f"{diagnosis.record.stem}-convergence")


def convergence_figure(diagnosis: Diagnosis) -> Figure:
    """Measures against the number of generic rows and of target batches, with their spread."""
    settings = diagnosis.record.settings
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, part, sizes, words in (
        (panels[0], fewer_rows, _doubling(FEWEST_ROWS, settings.probe_rows), "generic rows"),
        (
            panels[1],
            fewer_batches,
            _doubling(FEWEST_BATCHES, settings.batches),
            f"target batches of {settings.batch_rows} rows",
        ),
    ):
        _draw(axes, converge(diagnosis, part, sizes))
        axes.set_xlabel(words)
    panels[0].set_ylabel("measure")
    figure.suptitle(_title(diagnosis.record), x=0.01, ha="left", fontsize=10)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(SHOWN))
    return figure


def _draw(axes: Axes, convergence: Convergence) -> None:
    for name, colour in SHOWN.items():
        values = convergence.values[name]
        middle, spread = np.nanmean(values, axis=1), np.nanstd(values, axis=1)
        axes.plot(convergence.sizes, middle, color=colour, marker="o", label=name.replace("_", " "))
        axes.fill_between(
            convergence.sizes, middle - spread, middle + spread, color=colour, alpha=0.15
        )
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(convergence.sizes)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())


def _title(record: DiagnosisRecord) -> str:
    return (
        f"{record.target} ({record.model}, seed {record.seed}), at {record.last.label}: mean and "
        f"standard deviation over {DRAWS} random parts"
    )


def _doubling(first: int, last: int) -> tuple[int, ...]:
    """``first`` doubled as long as it is below ``last``, and ``last``."""
    sizes = [first]
    while sizes[-1] * 2 < last:
        sizes.append(sizes[-1] * 2)
    return (*(size for size in sizes if size < last), last)
