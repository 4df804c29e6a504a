"""The published comparison as tables of text, each with the rules of its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from benchmark.report.paper.numbers import SECONDS_AN_HOUR, value_matrix
from benchmark.report.paper.reference import Reference
from benchmark.report.paper.rule import AS_TRAINED, EQUAL_TIME, Rule
from benchmark.report.results.inputs import REFERENCE
from benchmark.report.statistics.pooled import Pooled
from benchmark.report.tables.blocks import (
    NOTHING,
    Block,
    Cell,
    bounds,
    change,
    number,
    p_value,
    rows_of_columns,
    ungrouped,
)

TUNED_TARGET = "reuters"
SOURCE = (
    "published runs: one seed a number (seed 0, so no spread over seeds); 9.5M parameters; "
    "target validation set; downsampling and rate chosen for each target"
)
SECONDS = (
    "seconds: each run's own, as its log has them, with whatever it did between two logged steps: "
    "of cds, scoring the corpus and the 100,000 steps that fine-tune the copy it scores with, "
    "which no curve counts as steps; its main model does not move meanwhile"
)


def as_trained_tables(reference: Reference, frame: pd.DataFrame, rule: Rule) -> list[Block]:
    """Losses and perplexities of the rows of `numbers.as_trained`, target by method."""
    notes = (
        f"rule {rule}: {AS_TRAINED[rule]}",
        SOURCE,
        _lengths(reference),
        *_missing_and_several(reference, frame),
    )
    kinds = {
        "Target loss (nats/byte), as trained": "target_loss",
        "Perplexity (a byte) on the target, as trained": "perplexity",
    }
    return [
        _target_by_method(reference, frame, value, title, notes) for title, value in kinds.items()
    ]


def equal_time_table(reference: Reference, frame: pd.DataFrame, rule: Rule, own: bool) -> Block:
    """Losses of the rows of `numbers.at_equal_time`; ``own``: pretraining sets each budget."""
    budgets = frame.groupby("target")["budget"].first()
    what = (
        "the time that pretraining takes on the target from its first to its last step"
        if own
        else "the same for every target"
    )
    notes = [
        f"rule {rule}: {EQUAL_TIME[rule]}",
        f"budget: {what}, {_hours(budgets)}",
        SECONDS,
        f"hours of whole runs: {_whole_runs(reference)}",
        f"steps made by then, in thousands, mean over targets: {_steps(reference, frame)}",
        SOURCE,
        *_missing_and_several(reference, frame),
    ]
    ended = frame[frame["ended"]]
    if not ended.empty:
        names = ", ".join(f"{row.method} on {row.target}" for row in ended.itertuples())
        notes.append(f"ended before the budget, the end of the run is taken: {names}")
    if frame["target_loss"].isna().any():
        notes.append(f"{NOTHING}: nothing logged yet, or no published curve")
    title = "Target loss (nats/byte) at equal training time"
    return _target_by_method(reference, frame, "target_loss", title, tuple(notes))


def fine_tuning_table(reference: Reference, frame: pd.DataFrame, rule: Rule) -> Block:
    """Reuters before and after fine-tuning; ``frame`` is that of `numbers.as_trained`."""
    trained = frame[frame["target"] == TUNED_TARGET].set_index("method")
    rows = reference.fine_tuning.set_index("method")
    rows = rows[rows["target"] == TUNED_TARGET]
    rows = rows.reindex([name for name in reference.methods if name in rows.index])
    columns = {
        "as trained": _losses(trained.loc[rows.index, "target_loss"], ".4f"),
        "last": _losses(rows["last_loss"], ".4f"),
        "lowest": _losses(rows["best_loss"], ".4f"),
        "at step": [Cell(f"{step:,.0f}") for step in rows["best_step"]],
        "from step": [Cell(f"{step:,.0f}") for step in rows["first_step"]],
        "rate": [Cell(f"{rate:g}") for rate in rows["rate"]],
    }
    notes = (
        f"as trained: rule {rule}, {AS_TRAINED[rule]}",
        f"last: at step {rows['last_step'].max():,.0f}, after every run has begun to overfit; "
        "lowest: over all steps, chosen on the set that it is reported on",
        "from step: first logged step after the checkpoint that fine-tuning starts from; rate: "
        "before the schedule, which keeps the step count (2e-4 is 1.2e-5 at step 280,000)",
        SOURCE,
    )
    return Block(
        title=f"{TUNED_TARGET.capitalize()} after fine-tuning (nats/byte)",
        columns=ungrouped(columns),
        rows=rows_of_columns([str(name) for name in rows.index], columns.values()),
        notes=notes,
    )


def comparison_table(title: str, compared: list[Pooled], losses: str) -> Block:
    """What `pooled.compare` gives; ``losses`` says which losses they are of."""
    tested = sum(not math.isnan(row.p) for row in compared)
    head = ("targets", "best on", "rank", "loss change", "95% interval", "p", "p, Holm")
    rows = []
    for row in compared:
        texts = (
            f"{row.pairs}",
            f"{row.best_on}",
            number(row.rank, ".2f"),
            NOTHING if row.method == REFERENCE else change(row.log_ratio),
            bounds(row.low, row.high),
            p_value(row.p),
            p_value(row.p_holm),
        )
        rows.append((row.method, tuple(Cell(text) for text in texts)))
    notes = (
        f"of {losses}",
        "rank: mean over the targets that every method has, 1 is best; best on: targets with the "
        "lowest loss",
        f"loss change: against {REFERENCE}, geometric mean over targets; interval: over targets, "
        "bootstrap-t and no narrower than Student's t; one seed, so what another seed would "
        "give is not in it",
        f"p: Wilcoxon signed-rank against {REFERENCE}, two-sided and exact, on log loss; Holm "
        f"over {tested} methods",
    )
    return Block(title, ungrouped(head), tuple(rows), notes)


def best_cells(values: Iterable[float], form: str = ".3f") -> list[Cell]:
    """Numbers of which the lowest, as shown, is the best; NaN are not shown."""
    texts = [number(value, form) for value in values]
    lowest = min((text for text in texts if text != NOTHING), key=float, default=None)
    return [Cell(text, best=text == lowest) for text in texts]


def _target_by_method(
    reference: Reference, frame: pd.DataFrame, value: str, title: str, notes: tuple[str, ...]
) -> Block:
    methods, targets = reference.methods, reference.targets
    matrix = value_matrix(frame, methods, targets, value).T
    rows = tuple(
        (target, tuple(best_cells(row))) for target, row in zip(targets, matrix, strict=True)
    )
    notes = (*notes, "lowest of each row in bold")
    return Block(title, ungrouped(methods), rows, notes, corner="target")


def _missing_and_several(reference: Reference, frame: pd.DataFrame) -> list[str]:
    present = set(zip(frame["method"], frame["target"], strict=True))
    missing = [
        f"{method} on {target}"
        for target in reference.targets
        for method in reference.methods
        if (method, target) not in present
    ]
    several = [
        f"{row.runs} runs of {row.method} on {row.target}, the lower loss is taken"
        for row in frame[frame["runs"] > 1].itertuples()
    ]
    return [*([f"no published curve: {', '.join(missing)}"] if missing else []), *several]


def _lengths(reference: Reference) -> str:
    """How many steps the runs make: the commonest number, and who makes another."""
    ends = reference.curves.groupby(["target", "method"])["step"].max()
    common = ends.mode().iloc[0]
    others = [
        f"{method} on {target} {ends[target, method]:,.0f}"
        for target in reference.targets
        for method in reference.methods
        if ends.get((target, method), common) != common
    ]
    return f"steps: {', '.join([f'{common:,.0f}', *others])}"


def _steps(reference: Reference, frame: pd.DataFrame) -> str:
    means = frame.groupby("method")["step"].mean() / 1000
    return ", ".join(f"{name} {means[name]:.0f}" for name in reference.methods)


def _whole_runs(reference: Reference) -> str:
    """The shortest and the longest run of each method."""
    runs = reference.curves.groupby(["method", "run_id"])["seconds"].max() / SECONDS_AN_HOUR
    by_method = runs.groupby("method")
    shortest, longest = by_method.min(), by_method.max()
    return ", ".join(
        f"{name} {shortest[name]:.1f} to {longest[name]:.1f}" for name in reference.methods
    )


def _hours(budgets: pd.Series[float]) -> str:
    texts = budgets.map("{:.2f} h".format)
    if budgets.nunique() == 1:
        return str(texts.iloc[0])
    return ", ".join(f"{text} on {target}" for target, text in texts.items())


def _losses(values: pd.Series[float], form: str) -> list[Cell]:
    return best_cells(values.to_numpy(dtype=float), form)
