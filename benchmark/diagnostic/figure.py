"""A diagnosis on one page: who is aligned, what selection gains, whether it lasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import style as mpl_style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, ScalarFormatter

from benchmark.diagnostic.measures import top_size
from benchmark.diagnostic.records import CheckpointRecord, DiagnosisRecord, Verdict
from benchmark.diagnostic.rule import NOT_FITTED
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import COLOURS, GREY, RC, wrapped

GENERIC, TARGET = COLOURS[2], COLOURS[4]
BINS = 24


def write_figure(folder: Path, record: DiagnosisRecord) -> list[Path]:
    """Draw a diagnosis as PNG and PDF into ``folder/figures``."""
    with mpl_style.context(["default", RC]):
        return publish(diagnosis_figure(record), folder, record.stem)


def diagnosis_figure(record: DiagnosisRecord) -> Figure:
    """Histogram of alignments, held-out alignment of the best rows, persistence."""
    # Room for the heading above the panels and for the verdict below them.
    layout = ConstrainedLayoutEngine(rect=(0, 0.17, 1, 0.76))
    figure = Figure(figsize=(11.5, 5.2), layout=layout)
    panels = figure.subplots(1, 3, width_ratios=(1, 1, 0.85))
    _draw_histogram(panels[0], record)
    _draw_curves(panels[1], record)
    _draw_persistence(panels[2], record)
    figure.text(0.01, 0.955, _heading(record), fontsize=11, weight="bold", va="center")
    figure.text(0.01, 0.085, _verdict(record), fontsize=8.5, va="center", linespacing=1.5)
    return figure


def _unit(record: DiagnosisRecord) -> str:
    if record.settings.normalisation == "cosine":
        return "cosine with the target's gradient"
    return "one-sided alignment with the target"


def _draw_histogram(axes: Axes, record: DiagnosisRecord) -> None:
    last = record.last
    edges = np.histogram_bin_edges([*last.generic, *last.target], BINS)
    for values, colour, name in (
        (last.generic, GENERIC, f"{len(last.generic)} generic rows"),
        (last.target, TARGET, f"{len(last.target)} target rows"),
    ):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, edges.tolist(), weights=weights, color=colour, alpha=0.6, label=name)
    axes.set(xlabel=_unit(record), ylabel="share of rows")
    axes.set_title(f"Alignment of single rows, at {last.label}", loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_ylim(top=axes.get_ylim()[1] * 1.22)
    axes.legend(loc="upper left", ncols=2, fontsize=8, columnspacing=1)


def _draw_curves(axes: Axes, record: DiagnosisRecord) -> None:
    colours = [COLOURS[number] for number in (7, 3, 5, 1, 6, 0)]
    rows = len(record.last.curve)
    shown = record.checkpoints[-len(colours) :]
    for checkpoint, colour in zip(shown, colours[-len(shown) :], strict=True):
        sizes = np.arange(1, rows + 1)
        axes.plot(sizes, checkpoint.curve, color=colour, label=f"best rows, at {checkpoint.label}")
    own, mean = (_value(record.last, f"{name}_alignment") for name in ("self", "mean"))
    axes.axhline(own, color=TARGET, linestyle="--", label=f"target rows, at {record.last.label}")
    axes.axhline(mean, color=GREY, linestyle=":", label=f"mean row, at {record.last.label}")
    top = top_size(rows, record.downsampling)
    axes.axvline(top, color=GREY, linewidth=0.8, label=f"1/{record.downsampling:g} of the rows")
    _use_size_axis(axes, rows)
    low, high = axes.get_ylim()
    # The legend needs the upper third for itself.
    axes.set_ylim(low, high + 0.62 * (high - low))
    axes.set(xlabel="generic rows chosen", ylabel="mean held-out alignment")
    axes.set_title("What choosing rows gains", loc="left")
    axes.legend(loc="upper right", fontsize=7.5)


def _use_size_axis(axes: Axes, rows: int) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlim(1, rows)
    ticks = [size for size in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096) if size <= rows]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())


def _draw_persistence(axes: Axes, record: DiagnosisRecord) -> None:
    matrix = np.array(record.persistence, dtype=float)
    labels = [wrapped(checkpoint.label, 14) for checkpoint in record.checkpoints]
    axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu", aspect="equal")
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if abs(value) > 0.6 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel("checkpoint of pretraining")
    axes.set_title("Rank correlation of alignments", loc="left")


def _heading(record: DiagnosisRecord) -> str:
    return f"{record.target}: would online selection help?   ({record.model}, seed {record.seed})"


def _verdict(record: DiagnosisRecord) -> str:
    """The sentence, the probabilities or why there are none, and the price."""
    unfitted = [f"DECISION RULE {NOT_FITTED.upper()}: no probability is given"]
    answers = unfitted if record.verdict.status == NOT_FITTED else _answers(record.verdict)
    if record.verdict.outside:
        outside = ", ".join(record.verdict.outside)
        answers = [wrapped(f"No probability: outside what the rule has seen: {outside}", 150)]
    price = f"Cost {record.cost.share:.1%} of a run, shared pretraining not charged."
    return "\n".join([wrapped(record.verdict.sentence, 150), *answers, price])


def _answers(verdict: Verdict) -> list[str]:
    """A line for each opponent: the probability of beating it and the expected gain."""
    lines: dict[str, list[str]] = {}
    for answer in verdict.answers.values():
        claim, _, how = answer.text.partition(", ")
        if answer.probability is not None and answer.probability.value is not None:
            gain = answer.gain.value if answer.gain else None
            expected = "" if gain is None else f" ({100 * gain:+.1f}%)"
            said = f"{how} {answer.probability.value:.0%}{expected}"
            lines.setdefault(claim, []).append(said)
    return [
        f"Probability that {claim} (expected gain): {', '.join(said)}."
        for claim, said in lines.items()
    ]


def _value(checkpoint: CheckpointRecord, name: str) -> float:
    value = checkpoint.measures[name].value
    return float("nan") if value is None else value
