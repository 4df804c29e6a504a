"""The evidence as tables and sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.diagnostic.cheap import CHEAP
from benchmark.diagnostic.evidence.gains import COMPARISONS, QUESTIONS
from benchmark.diagnostic.evidence.scores import SCORES
from benchmark.diagnostic.evidence.trials import RULE, Trial, of_rule
from benchmark.diagnostic.rule import Rule
from benchmark.report.blocks import NOTHING, Block, Cell, Column

COMPARED = dict(zip(COMPARISONS, ("as trained", "after fine-tuning", "at equal cost"), strict=True))
GAIN_NOTE = (
    "Relative change of loss, a mean over models and seeds, and the number of cells (model, seed) "
    "in which online selection is better; test loss at equal steps, valid loss at equal cost (the "
    "last evaluation within the FLOPs of pretraining)"
)
CHOICE_NOTE = (
    "Which online selector and which static method is meant is chosen by mean valid loss over the "
    "seeds of each (model, target)"
)
SCORE_NOTE = (
    "95% intervals by a bootstrap over targets, predictions as they are; accuracy of the more "
    "probable answer; ROC AUC of the probabilities, undefined where all answers are the same; "
    "Spearman's correlation of expected and measured gain; log loss in nats"
)


def gain_block(cells: pd.DataFrame, rule: Rule) -> Block:
    """Mean gain of each target and in how many cells there was one."""
    known = set(rule.fitted_on.targets) if rule.fitted_on else set()
    rows = [
        (target if target in known else f"{target} (new)", _gain_cells(some))
        for target, some in _by_target(cells)
    ]
    rows.append(("all", _gain_cells(cells)))
    columns = tuple(
        Column(f"over {opponent}", COMPARED[comparison])
        for opponent, comparison in (question.split("_", 1) for question in QUESTIONS)
    )
    notes = (GAIN_NOTE, CHOICE_NOTE, "(new): not among the targets that the rule was fitted on")
    return Block("What online selection gained", columns, tuple(rows), notes, corner="target")


def _by_target(cells: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(target), some) for target, some in cells.groupby("target", sort=False)]


def _gain_cells(cells: pd.DataFrame) -> tuple[Cell, ...]:
    return tuple(
        Cell(f"{100 * np.expm1(cells[question].mean()):+.1f}% ({_yes(cells[question])})")
        for question in QUESTIONS
    )


def _yes(gains: pd.Series[float]) -> str:
    return f"{int((gains > 0).sum())}/{len(gains)}"


def selector_block(cells: pd.DataFrame) -> Block:
    """Each selector's own gain over pretraining."""
    ending = f"_{COMPARISONS[0]}"
    own = [str(name) for name in cells if name not in QUESTIONS]
    labels = [name.removesuffix(ending) for name in own if name.endswith(ending)]
    names = [f"{label}_{how}" for label in labels for how in COMPARISONS]
    rows = [
        (target, tuple(Cell(_gain(some[name])) for name in names))
        for target, some in [*_by_target(cells), ("all", cells)]
    ]
    columns = tuple(Column(label, COMPARED[how]) for label in labels for how in COMPARISONS)
    title = "What each selector gained over pretraining"
    return Block(title, columns, tuple(rows), (GAIN_NOTE,), corner="target")


def _gain(gains: pd.Series[float]) -> str:
    if gains.isna().all():
        return "over budget"
    return f"{100 * np.expm1(gains.mean()):+.1f}% ({_yes(gains)})"


def score_blocks(scores: pd.DataFrame, rule: Rule) -> list[Block]:
    """For each trial and question, every predictor's scores."""
    blocks = []
    for place, some in scores.groupby(["trial", "question"], sort=False):
        trial, question = (str(name) for name in place)
        table = some.set_index(["predictor", "score"])
        rows = tuple(
            (_name(who, rule), tuple(_score(table.loc[(who, name)]) for name in (*SCORES, LOSS)))
            for who in some["predictor"].unique()
        )
        columns = tuple(Column("", name) for name in (*SCORES, LOSS))
        title = f"{rule.questions[question].text}: {trial}"
        blocks.append(Block(title, columns, rows, (SCORE_NOTE,), corner="predictor"))
    return blocks


LOSS = "log loss"


def _name(who: str, rule: Rule) -> str:
    words = who.replace("_", " ")
    if who == RULE:
        return f"rule ({' + '.join(name.replace('_', ' ') for name in rule.features)})"
    return f"{words} (cheap)" if who in CHEAP else words


def _score(row: pd.Series) -> Cell:
    if not np.isfinite(row["value"]):
        return Cell(NOTHING)
    if not np.isfinite(row["low"]):
        return Cell(f"{row['value']:.2f}")
    return Cell(f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]")


def conclusions(scores: pd.DataFrame, found: list[Trial], rule: Rule) -> list[str]:
    """One sentence for each trial, question and score: is the rule better than a cheap one."""
    sizes = {trial.name: _sizes(trial.cells) for trial in found}
    lines = []
    for row in of_rule(scores):
        if row["score"] == LOSS or not np.isfinite(row["than_cheap"]):
            continue
        text = rule.questions[row["question"]].text
        lines.append(
            f"{text}, {row['trial']} ({sizes[row['trial']]}): {row['score']} {row['value']:.2f}, "
            f"{_verdict(row)} {row['best_cheap'].replace('_', ' ')}, the best cheap predictor in "
            f"hindsight ({row['than_cheap']:+.2f}, {row['than_cheap_low']:+.2f} to "
            f"{row['than_cheap_high']:+.2f})"
        )
    return lines


def _verdict(row: pd.Series) -> str:
    if row["than_cheap_low"] > 0:
        return "better than"
    return "worse than" if row["than_cheap_high"] < 0 else "not told apart from"


def _sizes(cells: pd.DataFrame) -> str:
    return f"{len(cells)} cells of {cells['target'].nunique()} targets"
