"""Foretold against measured: gains, and how often a probability came true."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.diagnostic.evidence.gains import COMPARISONS, OPPONENTS, QUESTIONS
from benchmark.diagnostic.evidence.trials import RULE, Trial
from benchmark.diagnostic.measures import Array, spearman
from benchmark.report.figures.style import COLOURS, GREY

MARKERS = "osD^vPX*<>ph"
WIDEST = 0.2
"""Width of a bin of probabilities."""
TITLES = {
    "as_trained": "as trained",
    "fine_tuned": "after fine-tuning",
    "equal_cost": "at equal cost",
}


def gain_figure(trial: Trial) -> Figure:
    """Expected against measured gain of every (model, target), a mean over seeds."""
    figure, panels = _panels(12, 8.4)
    targets = list(trial.cells["target"].unique())
    for question, axes in zip(QUESTIONS, panels, strict=True):
        _draw_gains(axes, trial, question, targets)
    handles = [
        Line2D([], [], linestyle="", color=_colour(number), marker=_marker(number), label=target)
        for number, target in enumerate(targets)
    ]
    figure.legend(handles=handles, loc="outside right upper", title="target", fontsize=8)
    figure.suptitle(
        f"Gain of online selection: foretold by the rule, {trial.name}, against measured",
        x=0.01,
        ha="left",
    )
    return figure


def calibration_figure(trial: Trial) -> Figure:
    """Share of cells with a gain among those given about the same probability."""
    figure, panels = _panels(10.5, 7.4)
    for question, axes in zip(QUESTIONS, panels, strict=True):
        chance = trial.predictions[question][RULE].chance
        _draw_calibration(axes, chance, trial.cells[question].to_numpy() > 0)
        axes.set_title(_title(question), loc="left", fontsize=9)
    figure.suptitle(f"Calibration of the rule's probabilities, {trial.name}", x=0.01, ha="left")
    return figure


def _panels(width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(len(OPPONENTS), len(COMPARISONS))
    return figure, list(panels.ravel())


def _draw_gains(axes: Axes, trial: Trial, question: str, targets: list[str]) -> None:
    cells = trial.cells.assign(
        foretold=100 * trial.predictions[question][RULE].gain, measured=100 * trial.cells[question]
    )
    means = cells.groupby(["model", "target"], sort=False)[["foretold", "measured"]]
    points = means.agg(["mean", "min", "max"]).reset_index()
    for _, point in points.iterrows():
        number = targets.index(point[("target", "")])
        x, y = point[("foretold", "mean")], point[("measured", "mean")]
        low, high = point[("measured", "min")], point[("measured", "max")]
        colour = _colour(number)
        axes.plot([x, x], [low, high], color=colour, linewidth=0.8, alpha=0.6)
        axes.plot(x, y, _marker(number), color=colour, markersize=5.5)
    everything = cells[["foretold", "measured"]].to_numpy()
    low, high = float(everything.min()), float(everything.max())
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, linestyle="--")
    axes.axhline(0, color=GREY, linewidth=0.8)
    rank = float(spearman(cells["foretold"].to_numpy(), cells["measured"].to_numpy()))
    axes.set_title(f"{_title(question)}\nSpearman {rank:.2f}", loc="left", fontsize=9)
    axes.set(xlabel="foretold log ratio of losses (%)", ylabel="measured (%)")


def _draw_calibration(axes: Axes, chance: Array, yes: np.ndarray) -> None:
    bins = np.minimum((chance / WIDEST).astype(int), round(1 / WIDEST) - 1)
    frame = pd.DataFrame({"bin": bins, "chance": chance, "yes": yes})
    found = frame.groupby("bin").agg(
        chance=("chance", "mean"), share=("yes", "mean"), count=("yes", "size")
    )
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
    axes.plot(found["chance"], found["share"], "o-", color=COLOURS[5])
    for _, row in found.iterrows():
        above = row["share"] < 0.9
        axes.annotate(
            f"{row['count']:.0f}",
            (row["chance"], row["share"]),
            xytext=(0, 7 if above else -13),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set(
        xlim=(-0.03, 1.03),
        ylim=(-0.06, 1.06),
        xlabel="foretold probability (numbers: cells)",
        ylabel="share with a gain",
    )


def _title(question: str) -> str:
    opponent, comparison = question.split("_", 1)
    against = "pretraining" if opponent == "pretraining" else "the best static method"
    return f"over {against}, {TITLES[comparison]}"


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _marker(number: int) -> str:
    return MARKERS[number % len(MARKERS)]
