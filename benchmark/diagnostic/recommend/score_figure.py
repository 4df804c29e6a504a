"""Foretold against measured gains, and how often a probability came true."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.diagnostic.recommend.rule import ENDS
from benchmark.diagnostic.recommend.scores import Foretold
from benchmark.diagnostic.recommend.scoring import Scored
from benchmark.report.figures.style import GREY, method_styles, wrapped

BINS = 5


def gain_figure(scored: Scored) -> Figure:
    """Expected gain with its 90% interval against the measured one, a panel for each end."""
    figure, panels = _panels(scored, 4.4)
    labels = [label for of in scored.foretold.values() for each in of for label in each.expected]
    styles = method_styles(list(dict.fromkeys(labels)))
    for axes, (end, of) in zip(panels, scored.foretold.items(), strict=True):
        for label, style in styles.items():
            _draw_gains(axes, of, label, style.colour, style.marker)
        axes.axline((0, 0), slope=1, color=GREY, linewidth=0.8)
        axes.set_title(ENDS[end], loc="left")
        axes.set_xlabel("measured gain (100 x log ratio)")
    panels[0].set_ylabel("foretold, with 90% interval")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=8)
    figure.suptitle(f"Gains over pretraining: {scored.how}", x=0.01, ha="left", fontsize=10)
    return figure


def calibration_figure(scored: Scored) -> Figure:
    """Of pairs of methods given about the same probability, how often the first gained more."""
    figure, panels = _panels(scored, 3.8)
    for axes, (end, of) in zip(panels, scored.foretold.items(), strict=True):
        pairs = [(each.chance[pair], _won(each, pair)) for each in of for pair in each.chance]
        chance, won = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
        place = np.minimum((chance * BINS).astype(int), BINS - 1)
        for number in np.unique(place):
            here = place == number
            size = 20 + 200 * here.mean()
            axes.scatter(chance[here].mean(), won[here].mean(), s=size, color="#0072B2")
            axes.annotate(f" {here.sum()}", (chance[here].mean(), won[here].mean()), fontsize=8)
        axes.axline((0, 0), slope=1, color=GREY, linewidth=0.8)
        axes.set(xlim=(-0.03, 1.08), ylim=(-0.03, 1.03), xlabel="foretold probability")
        axes.set_title(ENDS[end], loc="left")
    panels[0].set_ylabel("share in which it was so")
    title = f"Which of two gains more: {scored.how} (number of pairs)"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _panels(scored: Scored, height: float) -> tuple[Figure, list[Axes]]:
    count = len(scored.foretold)
    figure = Figure(figsize=(max(6.0, 3.7 * count), height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _draw_gains(axes: Axes, of: list[Foretold], label: str, colour: str, marker: str) -> None:
    some = [each for each in of if label in each.expected]
    gain, expected, low, high = (
        np.array([getattr(each, name)[label] for each in some])
        for name in ("gain", "expected", "low", "high")
    )
    bars = np.stack([expected - low, high - expected])
    axes.errorbar(
        gain,
        expected,
        yerr=bars,
        fmt=marker,
        color=colour,
        elinewidth=0.5,
        alpha=0.8,
        label=wrapped(label),
    )


def _won(each: Foretold, pair: tuple[str, str]) -> bool:
    return each.gain[pair[0]] > each.gain[pair[1]]
