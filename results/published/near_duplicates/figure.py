"""How much near-duplicates change: table and figure from the records beside this file.

Run in the root of the repository: ``python results/published/near_duplicates/figure.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import style as mpl_style
from matplotlib.figure import Figure

from benchmark.report.figures.picture import encode
from benchmark.report.figures.style import RC, method_styles
from benchmark.report.results.inputs import REFERENCE, load_results
from benchmark.study.stages import STAGES

HERE = Path(__file__).parent
CHOICES = ("keep", "remove")
TITLES = dict(zip(STAGES, ("as trained", "after fine-tuning"), strict=True))


def main() -> None:
    """Write ``near_duplicates.csv`` and ``near_duplicates.png``."""
    frame = pd.concat([_changes(choice) for choice in CHOICES])
    text = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    (HERE / "near_duplicates.csv").write_text(text, encoding="utf-8")
    with mpl_style.context(["default", RC]):
        content = encode(_draw(frame), ["png"])["png"]
    (HERE / "near_duplicates.png").write_bytes(content)
    means = frame.groupby(["stage", "method", "near_duplicates"], sort=False)
    print(means[["test_loss", "change"]].mean().unstack().round(3).to_string())


def _changes(choice: str) -> pd.DataFrame:
    """Test losses (nats a byte) and their change against pretraining of the same seed."""
    stages = load_results(HERE / f"near_{choice}").stages
    frame = stages[["stage", "method", "seed", "test_loss"]].copy()
    own = frame[frame["method"] == REFERENCE].set_index(["stage", "seed"])["test_loss"]
    keys = pd.MultiIndex.from_frame(frame[["stage", "seed"]])
    frame["change"] = frame["test_loss"] / own.reindex(keys).to_numpy() - 1
    return frame.assign(near_duplicates=choice)


def _draw(frame: pd.DataFrame) -> Figure:
    methods = [name for name in frame["method"].unique() if name != REFERENCE]
    styles = method_styles(methods)
    figure = Figure(figsize=(7.2, 2.8), layout="constrained")
    panels = figure.subplots(1, len(STAGES), sharey=True)
    for axes, stage in zip(panels, STAGES, strict=True):
        for row, method in enumerate(methods):
            for choice, shift in zip(CHOICES, (-0.15, 0.15), strict=True):
                mine = frame[
                    (frame["stage"] == stage)
                    & (frame["method"] == method)
                    & (frame["near_duplicates"] == choice)
                ]
                changes = 100 * mine["change"].to_numpy()
                (line,) = axes.plot(changes, np.full(len(changes), row + shift), "o", markersize=5)
                colour = styles[method].colour
                line.set(color=colour, markerfacecolor="white" if choice == "remove" else colour)
        axes.axvline(0, color="0.5", linewidth=0.9, zorder=1)
        axes.set_title(TITLES[stage], loc="left")
        axes.set_xlabel("test loss against pretraining (%)")
        axes.set_yticks(range(len(methods)), methods)
        axes.set_ylim(len(methods) - 0.5, -0.5)
    figure.suptitle(
        "filled: with near-duplicates, open: without; a point a seed",
        fontsize="small",
        x=0.99,
        ha="right",
    )
    return figure


if __name__ == "__main__":
    main()
