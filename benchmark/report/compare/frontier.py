"""What selection costs and what it gains: loss and share of a domain against cost, by method."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib import style as mpl_style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.methods.source import Style
from benchmark.report.figures.panels import legend_beside, method_handle
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import (
    RC,
    in_order,
    label_flops,
    method_styles,
    power_of_thousand,
    use_log_axis,
    wrapped,
)
from benchmark.report.results.inputs import StudyResults
from benchmark.study.stages import STAGE_NAMES, STAGES

PAIR = ["model", "target"]
RUN = [*PAIR, "method", "seed"]


def frontier_frame(results: StudyResults, lifts: pd.DataFrame) -> pd.DataFrame:
    """A row for each run: what it cost as trained, its test losses, its ``lift``.

    ``lifts`` has the lift of each run; ``cost`` is in FLOPs, losses in nats a token.
    """
    stages = results.stages
    trained = stages[stages["stage"] == STAGES[0]].set_index(RUN)
    tuned = stages[stages["stage"] == STAGES[1]].set_index(RUN)
    frame = pd.DataFrame(
        {
            "cost": trained["flops"],
            STAGES[0]: trained["test_loss"],
            STAGES[1]: tuned["test_loss"].reindex(trained.index),
        }
    )
    return frame.join(lifts.set_index(RUN)["lift"]).reset_index()


def draw_frontier(
    results: StudyResults, frame: pd.DataFrame, domain: str, folder: Path, stem: str
) -> list[Path]:
    """Three panels for each (model, target): both losses and the lift, against FLOPs.

    A point is the mean over seeds, its bar their range.
    """
    styles = method_styles(results.methods)
    pairs = [pair for pair in results.pairs if not _of(frame, pair).empty]
    with mpl_style.context(["default", RC]):
        figure = Figure(figsize=(11.5, 3.6 * len(pairs)))
        rows = figure.subplots(len(pairs), 3, squeeze=False)
        for panels, pair in zip(rows, pairs, strict=True):
            here = _of(frame, pair)
            for axes, stage in zip(panels[:2], STAGES, strict=True):
                _draw(axes, here, stage, styles)
                axes.set_ylabel(f"test loss {STAGE_NAMES[stage]} ({results.loss_unit})")
            _draw(panels[2], here, "lift", styles)
            panels[2].set_yscale("log", base=2)
            panels[2].yaxis.set_major_formatter("{x:g}")
            panels[2].set_ylabel(wrapped(f"{domain} rows in the last quarter, times base rate", 40))
            panels[0].set_title(f"{pair[1]} ({pair[0]})", loc="left")
        shown = in_order(styles, frame["method"])
        legend_beside(figure, [method_handle(name, styles[name], line=False) for name in shown])
        return publish(figure, folder, stem)


def _of(frame: pd.DataFrame, pair: tuple[str, str]) -> pd.DataFrame:
    return frame[(frame["model"] == pair[0]) & (frame["target"] == pair[1])]


def _draw(axes: Axes, frame: pd.DataFrame, value: str, styles: dict[str, Style]) -> None:
    for method, runs in frame.dropna(subset=value).groupby("method", sort=False):
        style, middle = styles[str(method)], runs[value].mean()
        bars = [[middle - runs[value].min()], [runs[value].max() - middle]]
        axes.errorbar(
            [runs["cost"].mean()],
            [middle],
            yerr=bars,
            color=style.colour,
            marker=style.marker,
            markersize=6,
            linewidth=1,
        )
    use_log_axis(axes, frame["cost"])
    label_flops(axes, "cost as trained", power_of_thousand(frame["cost"]))
