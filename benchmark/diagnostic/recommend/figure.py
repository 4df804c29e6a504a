"""A recommendation on one page: what is expected of each method, at each end."""

from __future__ import annotations

from pathlib import Path

from matplotlib import style as mpl_style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from benchmark.diagnostic.recommend.records import FOLDER, RecommendationRecord, Recommended
from benchmark.diagnostic.recommend.rule import ENDS
from benchmark.diagnostic.recommend.terminal import notes
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import COLOURS, GREY, RC, wrapped


def write_recommendation_figure(folder: Path, record: RecommendationRecord) -> list[Path]:
    """Draw a recommendation as PNG and PDF into ``figures`` beside its JSON."""
    with mpl_style.context(["default", RC]):
        return publish(recommendation_figure(record), folder / FOLDER, record.stem)


def recommendation_figure(record: RecommendationRecord) -> Figure:
    """Expected changes with intervals, a panel for each end, and the sentences below."""
    most = max(len(found.expected) for found in record.ends.values())
    lines = [found.why for found in record.ends.values()] + notes(record)
    text = "\n".join(wrapped_line(line) for line in lines)
    below = 0.16 * (text.count("\n") + 2)
    height = 1.6 + 0.32 * most + below
    rect = (0, below / height, 1, 1 - (below + 0.4) / height)
    figure = Figure(figsize=(11, height), layout=ConstrainedLayoutEngine(rect=rect))
    panels = figure.subplots(1, len(record.ends), squeeze=False)[0]
    for axes, (name, found) in zip(panels, record.ends.items(), strict=True):
        _draw(axes, ENDS[name], found)
    top = 1 - 0.2 / height
    figure.text(0.01, top, _heading(record), fontsize=11, weight="bold", va="center")
    figure.text(0.01, 0.06 / height, text, fontsize=8, va="bottom", linespacing=1.4)
    return figure


def wrapped_line(line: str) -> str:
    """A sentence on lines that fit the page."""
    return wrapped(line, 180)


def _draw(axes: Axes, words: str, found: Recommended) -> None:
    ordered = sorted(found.expected.items(), key=lambda each: -each[1].change)
    for place, (label, each) in enumerate(ordered):
        colour = COLOURS[5] if label == found.method else GREY
        axes.plot([each.low, each.high], [place, place], color=colour, linewidth=2)
        axes.plot(each.change, place, "o", color=colour)
        axes.annotate(
            f"{each.probability_best:.0%}",
            (1.0, place),
            xycoords=("axes fraction", "data"),
            xytext=(2, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    names = [wrapped(label) + (" *" if label == found.method else "") for label, _ in ordered]
    axes.set_yticks(range(len(ordered)), names)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlabel("change of loss, %; right: P(best)")
    axes.set_title(f"{words}: {wrapped(found.method)}", loc="left")


def _heading(record: RecommendationRecord) -> str:
    return f"{wrapped(record.target, 50)}: what to train ({record.model})"
