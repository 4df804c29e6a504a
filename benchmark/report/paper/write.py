"""Everything that ``adaptbench paper`` makes: tables as text, numbers as CSV, figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType

from benchmark.core.files import write_atomically
from benchmark.report.paper.beside import beside, methods_table, study_frame, study_table
from benchmark.report.paper.figures import write_figures
from benchmark.report.paper.numbers import as_trained, at_equal_time, value_matrix
from benchmark.report.paper.reference import Reference
from benchmark.report.paper.rule import Rule
from benchmark.report.paper.tables import (
    as_trained_tables,
    comparison_table,
    equal_time_table,
    fine_tuning_table,
)
from benchmark.report.results.inputs import REFERENCE, StudyResults
from benchmark.report.statistics.pooled import compare, compare_pairwise
from benchmark.report.tables import rendering
from benchmark.report.tables.blocks import Block
from benchmark.report.tables.pairwise_blocks import p_matrix

PREFACE = (
    "Grangier, Ablin, Hannun, Adaptive Training Distributions with Scalable Online Bilevel "
    "Optimization (arXiv 2311.11973), language modelling: made from the published training curves."
)
NEEDS = (
    "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}; "
    "made by adaptbench from the published training curves.\n"
)
STUDY = "study"


@dataclass(frozen=True)
class Paper:
    """The tables, and the numbers behind them in full by the name of their CSV file."""

    tables: list[Block]
    numbers: dict[str, pd.DataFrame]
    trained: pd.DataFrame
    timed: pd.DataFrame


def make_paper(
    reference: Reference, rule: Rule, hours: float | None, results: StudyResults | None
) -> Paper:
    """Compare the published runs under a rule, at equal steps and at equal time.

    ``hours``: the budget of training time on every target; by default, what pretraining takes.
    ``results``: a study of ours to put beside.

    Raises:
        UserError: the study has no methods to compare.
    """
    trained, timed = as_trained(reference, rule), at_equal_time(reference, rule, hours)
    over_steps = _over_targets(reference, trained, "as trained", rule)
    over_time = _over_targets(reference, timed, "at equal training time", rule)
    tables = [
        *as_trained_tables(reference, trained, rule),
        *over_steps.tables,
        fine_tuning_table(reference, trained, rule),
        equal_time_table(reference, timed, rule, own=hours is None),
        *over_time.tables,
    ]
    numbers = {
        "as_trained": trained.assign(rule=rule.value),
        "fine_tuning": reference.fine_tuning,
        "equal_time": timed.assign(rule=rule.value),
        "methods": pd.concat([over_steps.methods, over_time.methods]),
        "pairwise": pd.concat([over_steps.pairwise, over_time.pairwise]),
    }
    if results is not None:
        ours = beside(results)
        published = value_matrix(trained, reference.methods, reference.targets)
        tables += [study_table(ours), methods_table(ours, reference, published, rule)]
        numbers[STUDY] = study_frame(ours)
    return Paper(tables, numbers, trained, timed)


@dataclass(frozen=True)
class _OverTargets:
    tables: list[Block]
    methods: pd.DataFrame
    pairwise: pd.DataFrame


def _over_targets(
    reference: Reference, frame: pd.DataFrame, stage: str, rule: Rule
) -> _OverTargets:
    """What the losses of ``frame`` say about the methods."""
    losses = value_matrix(frame, reference.methods, reference.targets)[:, :, np.newaxis]
    compared = compare(reference.methods, losses, REFERENCE)
    pairwise = compare_pairwise(reference.methods, losses)
    of = f"the target losses {stage}, rule {rule}"
    tables = [
        comparison_table(f"Methods over targets, {stage}", compared, of),
        p_matrix(f"Every two methods, {stage}: p-values after Holm", pairwise, (f"of {of}",)),
    ]
    source = {"losses": stage, "rule": rule.value}
    return _OverTargets(tables, pd.DataFrame(compared).assign(**source), pairwise.assign(**source))


def terminal(paper: Paper) -> RenderableType:
    """The tables for ``rich.console.Console.print``."""
    return Group(*map(rendering.terminal, paper.tables))


def write_paper(paper: Paper, reference: Reference, folder: Path) -> list[Path]:
    """Write ``paper.md``, ``paper.tex``, a CSV file for each kind of number, and the figures.

    Raises:
        UserError: the folder cannot be written.
    """
    figures = write_figures(reference, paper.trained, paper.timed, folder)
    images = [file for file in figures if file.suffix == ".png"]
    shown = [f"![{file.stem}]({file.relative_to(folder).as_posix()})\n" for file in images]
    head = f"# The published comparison\n\n{PREFACE}\n"
    texts = {
        "paper.md": "\n".join([head, *map(rendering.markdown, paper.tables), *shown]),
        "paper.tex": "\n".join([NEEDS, *map(rendering.latex, paper.tables)]),
    }
    for name, frame in paper.numbers.items():
        texts[f"{name}.csv"] = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    for name, text in texts.items():
        write_atomically(folder / name, text)
    if STUDY not in paper.numbers:
        # Left by a making with another study, it would seem to belong to this one.
        (folder / f"{STUDY}.csv").unlink(missing_ok=True)
    return [*(folder / name for name in texts), *figures]
