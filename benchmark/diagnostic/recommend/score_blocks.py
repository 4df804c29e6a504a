"""Scores of recommendations as tables and sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.diagnostic.recommend.rule import ENDS
from benchmark.diagnostic.recommend.scores import UNEVEN
from benchmark.diagnostic.recommend.scoring import Scored
from benchmark.report.tables.blocks import NOTHING, Block, Cell, ungrouped

Table = dict[tuple[str, str, str], pd.Series]
"""Rows of `Scored.scores` by score, question and end."""
INTERVAL = "95% intervals by a bootstrap over sources, whose targets are drawn together"
REGRET = (
    "Regret: how much less the choice gained than the best of the menu, pretraining included, in "
    "100 x log ratio of losses, about percent; 0 for an oracle"
)
GAINS = (
    "R2: 1 less the squared errors of expected gains over those of the mean of the cells that the "
    "rule was fitted on; coverage: share of gains inside their 90% intervals"
)
QUESTIONS = (
    f"A question counts if {UNEVEN:.0%} to {1 - UNEVEN:.0%} of cells say yes (*); Brier: mean "
    "squared error of the probability, .25 for a coin"
)


def score_blocks(scored: Scored) -> list[Block]:
    """Regrets; R2 and coverage; questions with their AUC: a table each."""
    table, ends = _table(scored), list(scored.foretold)
    blocks = [_regret_block(scored, table, ends), _gain_block(table, ends)]
    return [*blocks, _question_block(table)] if _asked(table, "AUC") else blocks


def _regret_block(scored: Scored, table: Table, ends: list[str]) -> Block:
    names = [question for question, _ in _asked(table, "regret")]
    rows = tuple(
        (
            name,
            tuple(_cell(table["regret", name, end], name.startswith("saved")) for end in ends),
        )
        for name in dict.fromkeys(names)
    )
    columns = ungrouped(ENDS[end] for end in ends)
    title = f"Regret of recommendations: {scored.how}"
    return Block(title, columns, rows, (REGRET, INTERVAL), corner="choice")


def _gain_block(table: Table, ends: list[str]) -> Block:
    names = [question for question, _ in _asked(table, "R2")]
    pairs = [(end, score) for end in ends for score in ("R2", "coverage")]
    rows = tuple(
        (
            name,
            tuple(
                _cell(table[score, name, end]) if (score, name, end) in table else NONE
                for end, score in pairs
            ),
        )
        for name in dict.fromkeys(names)
    )
    columns = ungrouped(f"{score}, {ENDS[end]}" for end, score in pairs)
    return Block("Expected gains against measured ones", columns, rows, (GAINS, INTERVAL))


def _question_block(table: Table) -> Block:
    rows = []
    for question, end in _asked(table, "AUC"):
        area = table["AUC", question, end]
        base, counts = area["base"], UNEVEN <= area["base"] <= 1 - UNEVEN
        share = Cell(NOTHING if np.isnan(base) else f"{base:.0%}{' *' if counts else ''}")
        cells = (share, _cell(area), _cell(table["Brier", question, end]))
        rows.append((f"{question}, {ENDS[end]}", cells))
    columns = ungrouped(("cells with a yes", "AUC", "Brier"))
    title = "Which of two gains more"
    return Block(title, columns, tuple(rows), (QUESTIONS, INTERVAL), corner="question")


def _table(scored: Scored) -> Table:
    return {
        (str(row["score"]), str(row["question"]), str(row["end"])): row
        for _, row in scored.scores.iterrows()
    }


def _asked(table: Table, score: str) -> list[tuple[str, str]]:
    """Question and end of every row of a score."""
    return [(question, end) for name, question, end in table if name == score]


NONE = Cell(NOTHING)


def _cell(row: pd.Series, marked: bool = False) -> Cell:
    """A score with its interval; bold where it is ``marked`` and surely above 0."""
    if not np.isfinite(row["value"]):
        return NONE
    if not np.isfinite(row["low"]):
        return Cell(f"{row['value']:.2f}")
    text = f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    return Cell(text, best=marked and row["low"] > 0)


def sentences(scored: Scored) -> list[str]:
    """What follows, a sentence for each end."""
    lines = []
    table = _table(scored)
    for end in scored.foretold:
        saved = table["regret", "saved over the best on average", end]
        words = f"{ENDS[end]}: the recommendation saves {saved['value']:.2f}% of loss over always "
        if not np.isfinite(saved["least"]):
            lines.append(
                f"{words}training what was best on average, in one source, which says nothing of "
                "others"
            )
            continue
        sure = "surely better" if saved["low"] > 0 else "surely worse" if saved["high"] < 0 else ""
        lines.append(
            f"{words}training what was best on average [{saved['low']:.2f}, "
            f"{saved['high']:.2f}; without one source or another {saved['least']:.2f} to "
            f"{saved['most']:.2f}]{f', {sure}' if sure else ': not told apart'}"
        )
    if scored.left_out:
        lines.append(f"not scored, as the rule has seen them: {', '.join(scored.left_out)}")
    return lines
