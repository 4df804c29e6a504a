"""The evidence as tables and sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.diagnostic.cheap import CHEAP
from benchmark.diagnostic.evidence.gains import COMPARISONS, QUESTIONS
from benchmark.diagnostic.evidence.trials import CORPORA, NEW, RULE, TARGETS, THEMSELVES, Trial
from benchmark.diagnostic.rule import Rule
from benchmark.report.tables.blocks import NOTHING, Block, Cell, Column, ungrouped

COMPARED = dict(zip(COMPARISONS, ("as trained", "after fine-tuning", "at equal cost"), strict=True))
GAIN_NOTE = (
    "By how much the other's loss is higher than that of online selection, a mean over models and "
    "seeds, and in how many cells (model, seed) it is higher; test loss at equal steps, valid loss "
    "at equal cost (the last evaluation within the FLOPs of pretraining)"
)
CHOICE_NOTE = (
    "Which online selector and which static method is meant is chosen by mean valid loss over the "
    "seeds of each (model, target)"
)
LOSS = "log loss"
TRIAL_NOTES = {
    TARGETS: "Each target is predicted by a fit to all others",
    CORPORA: "Each target is predicted by a fit to all targets of other corpora",
    NEW: "The rule as it was before these targets were run; cheap predictors fitted to the same",
    THEMSELVES: "The rule as it is, and each cheap predictor's own value; no direction is fitted",
}
SUMMARY_NOTE = (
    "Best cheap: of n-gram divergence, classifier AUC and loss gap the one with the best score, in "
    "hindsight; rule less cheap: by how much the rule's score is better, bold if the interval is "
    "above 0. Accuracy of always saying yes: the share of cells with a gain"
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
        names = tuple(some["score"].unique())
        rows = tuple(
            (_name(who, rule), tuple(_score(table.loc[(who, name)]) for name in names))
            for who in some["predictor"].unique()
        )
        columns = ungrouped(names)
        title = f"{rule.questions[question].text}: {trial}"
        blocks.append(Block(title, columns, rows, (SCORE_NOTE,), corner="predictor"))
    return blocks


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


def summary_blocks(scores: pd.DataFrame, trial: Trial) -> list[Block]:
    """The rule beside the best cheap predictor in one trial: for each score, every question."""
    of_trial = scores[scores["trial"] == trial.name]
    keys = of_trial[["question", "predictor", "score"]].itertuples(index=False, name=None)
    table = dict(zip(keys, (row for _, row in of_trial.iterrows()), strict=True))
    sizes = f"{len(trial.cells)} cells of {trial.cells['target'].nunique()} targets"
    columns = ungrouped(("cells with a gain", "rule", "best cheap", "rule less cheap"))
    blocks = []
    for name in trial.scores:
        rows = []
        for question in QUESTIONS:
            ours = table[question, RULE, name]
            cheap = _named(table[question, ours["best_cheap"], name], ours["best_cheap"])
            cells = (Cell(_yes(trial.cells[question])), _score(ours), cheap, _difference(ours))
            rows.append((_claim(question), cells))
        notes = (TRIAL_NOTES[trial.name], SUMMARY_NOTE, SCORE_NOTE)
        title = f"{name} of the rule and of the best cheap predictor: {trial.name} ({sizes})"
        blocks.append(Block(title, columns, tuple(rows), notes, corner="gain"))
    return blocks


def _claim(question: str) -> str:
    opponent, comparison = question.split("_", 1)
    return f"over {opponent}, {COMPARED[comparison]}"


def _named(row: pd.Series, name: str) -> Cell:
    cell = _score(row)
    return cell if cell.text == NOTHING else Cell(f"{name.replace('_', ' ')} {cell.text}")


def _difference(row: pd.Series) -> Cell:
    """Bold where the rule is better by its interval."""
    if not np.isfinite(row["than_cheap"]):
        return Cell(NOTHING)
    low, high = row["than_cheap_low"], row["than_cheap_high"]
    return Cell(f"{row['than_cheap']:+.2f} [{low:+.2f}, {high:+.2f}]", best=low > 0)


def verdict(scores: pd.DataFrame) -> str:
    """Is the rule better than what is cheap, in one sentence."""
    ours = scores[(scores["predictor"] == RULE) & np.isfinite(scores["than_cheap"])]
    better, worse = (
        int((ours["than_cheap_low"] > 0).sum()),
        int((ours["than_cheap_high"] < 0).sum()),
    )
    return (
        f"of {len(ours)} comparisons of the rule with the best cheap predictor (chosen in "
        f"hindsight, for each question, trial and score), the rule is better in {better}, worse in "
        f"{worse}, and not told apart in {len(ours) - better - worse} (95% intervals over targets)"
    )
