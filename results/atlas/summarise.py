"""What the atlas found, from its records: found/README.md, cells.csv, figures.

    python results/atlas/summarise.py [fit|test]     # both parts without a word

Says which method wins where. How well that can be foretold is what `adaptbench recommend score`
says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import design
import numpy as np
import pandas as pd
from figures import LEVELS, level_figure, map_figure
from matplotlib import style as mpl_style
from outcomes import CELL, FACTORS, by_method, folders, mean, read_cells, sources_of

from benchmark.core.files import write_atomically
from benchmark.diagnostic.evidence.scores import Score
from benchmark.diagnostic.recommend.rule import ENDS
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import RC
from benchmark.report.results.inputs import REFERENCE
from benchmark.report.tables.blocks import NOTHING, Block, Cell, Column, ungrouped
from benchmark.report.tables.rendering import markdown

ONLINE = ("dds", "soba")
AGAINST = (REFERENCE, "mixing", "classifier_filter")
"""What online selection is compared with: nothing, the simplest, the plainest filter."""
FOUND = design.HERE / "found"
INTERVAL = "95% intervals by a bootstrap over sources; bold: the interval is above 0"
GAIN = "Gain: 100 x log ratio of losses, about percent"
MISSING = "a method that spends pretraining's FLOPs before its first evaluation has no gain there"


def main() -> None:
    """Write everything."""
    results = folders(*sys.argv[1:2])
    if not results:
        sys.exit("no records of the atlas: python results/atlas/run.py fit")
    cells, made = read_cells(results)
    blocks = [
        gain_block(cells, REFERENCE),
        gain_block(cells, "mixing"),
        rank_block(cells),
        win_block(cells),
        multiplier_block(cells),
        *(online_block(cells, end, words) for end, words in ENDS.items()),
    ]
    head = "\n\n".join(["# What the atlas found", how(cells, made)])
    pictures = "\n\n".join(
        [
            "![the best method of each cell](figures/map.png)",
            "![mean gain over pretraining by level](figures/levels.png)",
        ]
    )
    document = "\n\n".join([head, *map(markdown, blocks), pictures]) + "\n"
    write_atomically(FOUND / "README.md", document)
    write_atomically(FOUND / "cells.csv", cells.to_csv(index=False, lineterminator="\n"))
    with mpl_style.context(["default", RC]):
        publish(map_figure(cells), FOUND, "map")
        publish(level_figure(cells), FOUND, "levels")


def how(cells: pd.DataFrame, made: dict[str, Any]) -> str:
    """How many cells and runs, and by which code."""
    commits = ", ".join(f"`{commit[:8]}`" for commit in sorted(made["commits"]))
    failed = ", ".join(f"{count} of {label}" for label, count in made["failed"].items())
    return (
        f"{len(cells.drop_duplicates(['study', 'target']))} cells of {cells['source'].nunique()} "
        f"sources in {cells['study'].nunique()} study files; {made['runs']} runs, of which "
        f"{failed or 'none'} failed; {made['seconds'] / 3600:.1f} hours of wall time, summed over "
        f"runs; commits {commits}. Written by `python results/atlas/summarise.py`; the design and "
        "its words are those of [preregistration.md](../preregistration.md)."
    )


def gain_block(cells: pd.DataFrame, opponent: str) -> Block:
    """Mean gain of each method over another."""

    def over(end: str, method: str) -> Cell:
        wide = by_method(cells, end)
        gains = (wide[method] - wide[opponent]).to_numpy()
        return scored(mean(gains, sources_of(cells, wide)), ".2f")

    notes = [GAIN, INTERVAL, f"At equal FLOPs, {MISSING}"]
    return _block(cells, f"Mean gain over {opponent}", over, notes, without=opponent)


def rank_block(cells: pd.DataFrame) -> Block:
    """Mean rank of each method, and the share of cells in which it is the best."""

    def ranked(end: str, method: str) -> Cell:
        wide = by_method(cells, end)
        ranks = wide.rank(axis=1, ascending=False, na_option="bottom")
        best = wide.idxmax(axis=1) == method
        return Cell(f"{ranks[method].mean():.1f}; {best.mean():.0%}")

    note = "Mean rank, 1 is best; share of cells in which it has the lowest loss"
    return _block(cells, "Ranks", ranked, [note, f"Ranked last at equal FLOPs: {MISSING}"])


def win_block(cells: pd.DataFrame) -> Block:
    """In how many cells a method beats pretraining, and mixing."""

    def won(end: str, method: str) -> Cell:
        wide = by_method(cells, end)
        sources, texts = sources_of(cells, wide), []
        for opponent in (REFERENCE, "mixing"):
            gains = (wide[method] - wide[opponent]).to_numpy()
            wins = np.where(np.isfinite(gains), gains > 0, np.nan)
            share = mean(100 * wins, sources)
            own = method == opponent or np.isnan(share.value)
            texts.append(
                NOTHING if own else f"{share.value:.0f}% [{share.low:.0f}, {share.high:.0f}]"
            )
        return Cell("; ".join(texts))

    note = "Share of cells with a lower loss than pretraining; than mixing"
    bounds = "95% intervals by a bootstrap over sources"
    return _block(cells, "How often it helps", won, [note, bounds], without=REFERENCE)


def multiplier_block(cells: pd.DataFrame) -> Block:
    """How many times fewer FLOPs than pretraining a method takes to its last loss: quartiles."""
    wide = by_method(cells, "as_trained", "multiplier")
    sources = sources_of(cells, wide)
    rows = []
    for method in wide.columns.drop(REFERENCE):
        factors = wide[method].to_numpy()
        known = factors[np.isfinite(factors)]
        cheaper = mean(np.where(np.isfinite(factors), 100.0 * (factors > 1), np.nan), sources)
        quartiles = np.quantile(known, [0.25, 0.5, 0.75]) if len(known) else [np.nan] * 3
        text = f"{cheaper.value:.0f}% [{cheaper.low:.0f}, {cheaper.high:.0f}]"
        rows.append((method, (*(Cell(f"{q:.2f}") for q in quartiles), Cell(text))))
    notes = (
        "FLOPs that pretraining takes to the valid loss that it ends with, over those that the "
        "method takes to it; where it never does, over all that it spent, which is too high",
        "95% intervals by a bootstrap over sources",
    )
    columns = ungrouped(("lower quartile", "median", "upper quartile", "cells above 1"))
    return Block("Compute multipliers, as trained", columns, tuple(rows), notes)


def online_block(cells: pd.DataFrame, end: str, words: str) -> Block:
    """Where online selection helps: gains of the bilevel selectors at each level of the design."""
    wide = by_method(cells, end)
    sources = sources_of(cells, wide)
    online = wide[list(ONLINE)].mean(axis=1)
    place = cells.drop_duplicates(CELL).set_index(CELL).loc[wide.index]
    rows = []
    for factor in FACTORS:
        for level in LEVELS[factor]:
            of = (place[factor] == level).to_numpy()
            gains = [(online - wide[method]).to_numpy()[of] for method in AGAINST]
            texts = (scored(mean(each, sources[of]), ".1f") for each in gains)
            rows.append((f"{factor}: {level}", (*texts, Cell(f"{of.sum()}"))))
    columns = ungrouped((*(f"over {method}" for method in AGAINST), "cells"))
    notes = (f"Mean of {' and '.join(ONLINE)}. {GAIN}", f"{INTERVAL}; of one source there is none")
    title = f"When online selection helps, {words}"
    return Block(title, columns, tuple(rows), notes, corner="level")


def scored(found: Score, form: str) -> Cell:
    """A mean with its interval."""
    if np.isnan(found.value):
        return Cell(NOTHING)
    if np.isnan(found.low):
        return Cell(f"{found.value:{form}}")
    text = f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"
    return Cell(text, best=found.low > 0)


def _block(
    cells: pd.DataFrame,
    title: str,
    cell: Callable[[str, str], Cell],
    notes: list[str],
    without: str | None = None,
) -> Block:
    methods = [method for method in dict.fromkeys(cells["method"]) if method != without]
    rows = tuple((method, tuple(cell(end, method) for end in ENDS)) for method in methods)
    columns: tuple[Column, ...] = ungrouped(ENDS.values())
    return Block(title, columns, rows, tuple(notes))


if __name__ == "__main__":
    main()
