"""A study of ours beside the published runs: the same columns, and the methods of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.core.errors import UserError
from benchmark.report.paper.reference import METHODS, Reference
from benchmark.report.paper.tables import best_cells
from benchmark.report.results.inputs import REFERENCE, StudyResults
from benchmark.report.results.rules import general_rules
from benchmark.report.statistics.estimates import Array, mean_over_seeds
from benchmark.report.statistics.pooled import Pooled, compare
from benchmark.report.tables.blocks import (
    NOTHING,
    Block,
    Cell,
    Column,
    bounds,
    change,
    number,
    ungrouped,
)
from benchmark.study.stages import STAGES

NOT_COMPARABLE = (
    "its models, corpora and targets are not the published ones: losses do not compare between "
    "the tables, changes against pretraining do in kind"
)

# The subject of a study's rules that does not concern these tables.
LEFT_OUT = "fine-tuning"


@dataclass(frozen=True)
class Beside:
    """A study's losses as trained on the methods that the published runs have too.

    ``losses``: test losses in nats a token, of shape (methods, pairs, seeds), NaN where a run has
    no result; ``pairs`` are (model, target).
    """

    results: StudyResults
    methods: list[str]
    pairs: list[tuple[str, str]]
    losses: Array

    @property
    def name(self) -> str:
        """The study's name."""
        return self.results.study.study


def beside(results: StudyResults) -> Beside:
    """The part of a study that compares.

    Raises:
        UserError: the study has no pretraining, or no other method of the published ones.
    """
    study = results.study
    methods = [name for name in METHODS if name in results.methods]
    if REFERENCE not in methods or len(methods) < 2:
        raise UserError(
            f"--with: study {study.study!r} has the methods {', '.join(results.methods)}; needed: "
            f"{REFERENCE} and another of {', '.join(METHODS)}"
        )
    trained = results.stages[results.stages["stage"] == STAGES[0]]
    found = trained.set_index(["method", "model", "target", "seed"])["test_loss"].to_dict()
    losses = [
        [
            [found.get((method, *pair, seed), np.nan) for seed in study.seeds]
            for pair in results.pairs
        ]
        for method in methods
    ]
    return Beside(results, methods, results.pairs, np.array(losses, dtype=float))


def study_table(ours: Beside) -> Block:
    """The study's losses in the published table's columns."""
    several_models = len(ours.results.study.models) > 1
    rows = []
    for column, (model, target) in enumerate(ours.pairs):
        cells = dict(zip(ours.methods, _with_spread(ours.losses[:, column]), strict=True))
        row = tuple(cells.get(name, Cell(NOTHING)) for name in METHODS)
        rows.append((f"{target}, {model}" if several_models else target, row))
    unit = ours.results.loss_unit
    rules = " / ".join(_rules(ours.results)) or "no result yet"
    return Block(
        title=f"Study {ours.name}: target loss ({unit}), as trained",
        columns=ungrouped(METHODS),
        rows=tuple(rows),
        notes=(
            NOT_COMPARABLE,
            f"test split, {rules}; {_seeds(ours)}; mean ± sample standard deviation over the seeds "
            f"that have a result; {NOTHING}: not in the study, or no result yet; lowest mean of "
            "each row in bold",
            *(rule for rule in general_rules(ours.results) if rule.split(":")[0] != LEFT_OUT),
        ),
        corner="target",
    )


def methods_table(ours: Beside, reference: Reference, published: Array, rule: str) -> Block:
    """Ranks and changes of the methods of both; ``published`` losses (methods, targets)."""
    shared = [name for name in ours.methods if name in reference.methods]
    theirs = published[[reference.methods.index(name) for name in shared]][:, :, None]
    own = ours.losses[[ours.methods.index(name) for name in shared]]
    sides = {
        side: compare(shared, losses, REFERENCE)
        for side, losses in (("published", theirs), (ours.name, own))
    }
    names = ("targets", "rank", "loss change", "95% interval")
    cells = zip(*(_side(compared) for compared in sides.values()), strict=True)
    return Block(
        title=f"Published runs and study {ours.name}: the methods of both, as trained",
        columns=tuple(Column(side, name) for side in sides for name in names),
        rows=tuple((name, left + right) for name, (left, right) in zip(shared, cells, strict=True)),
        notes=(
            NOT_COMPARABLE,
            f"published: rule {rule}, target validation set, one seed; {ours.name}: test split, "
            f"{_seeds(ours)}",
            "rank: mean over the targets that each of these methods has, among these methods only",
            f"loss change: against {REFERENCE}, geometric mean over targets (mean over seeds "
            "first); interval: over targets, bootstrap-t and no narrower than Student's t; with "
            "fewer than 4 targets over the seeds on these, where they bound anything",
        ),
    )


def study_frame(ours: Beside) -> pd.DataFrame:
    """A row for each (model, target, method, seed): its ``test_loss``, NaN without a result."""
    seeds = ours.results.study.seeds
    return pd.DataFrame(
        [
            {
                "study": ours.name,
                "model": model,
                "target": target,
                "method": method,
                "seed": seed,
                "test_loss": ours.losses[row, column, depth],
            }
            for column, (model, target) in enumerate(ours.pairs)
            for row, method in enumerate(ours.methods)
            for depth, seed in enumerate(seeds)
        ]
    )


def _with_spread(losses: Array) -> list[Cell]:
    """Means over seeds, the deviation where there are several; losses (methods, seeds)."""
    cells = best_cells(mean_over_seeds(losses))
    shown = []
    for cell, own in zip(cells, losses, strict=True):
        present = own[np.isfinite(own)]
        spread = f" ± {present.std(ddof=1):.3f}" if present.size > 1 else ""
        shown.append(Cell(cell.text + spread, cell.best))
    return shown


def _side(compared: list[Pooled]) -> Iterator[tuple[Cell, ...]]:
    for row in compared:
        texts = (
            f"{row.pairs}",
            number(row.rank, ".2f"),
            NOTHING if row.method == REFERENCE else change(row.log_ratio),
            bounds(row.low, row.high),
        )
        yield tuple(Cell(text) for text in texts)


def _rules(results: StudyResults) -> list[str]:
    trained = results.stages[results.stages["stage"] == STAGES[0]]
    return [str(rule) for rule in trained["rule"].unique()]


def _seeds(ours: Beside) -> str:
    seeds = ours.results.study.seeds
    return f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}"
