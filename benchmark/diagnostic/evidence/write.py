"""Everything about a rule's hit rate, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib import style as mpl_style

from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically
from benchmark.diagnostic.evidence.blocks import (
    gain_block,
    score_blocks,
    selector_block,
    summary_blocks,
    verdict,
)
from benchmark.diagnostic.evidence.cells import load_evidence
from benchmark.diagnostic.evidence.figure import calibration_figure, gain_figure
from benchmark.diagnostic.evidence.trials import NEW, TARGETS, THEMSELVES, Trial, scored, trials
from benchmark.diagnostic.records import DiagnosisRecord
from benchmark.diagnostic.rule import Rule
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import RC
from benchmark.report.tables.blocks import Block
from benchmark.report.tables.rendering import markdown, markdown_list


def write_evidence(folder: Path, rule: Rule) -> tuple[list[Path], list[Block], list[str]]:
    """Score ``rule`` on the study in ``folder``; the files, the first tables, the conclusions.

    Raises:
        UserError: the rule is not fitted; or as `load_evidence`.
    """
    if rule.fitted_on is None:
        raise UserError("--rule: not fitted yet, so there is nothing to score: adaptbench rule fit")
    evidence = load_evidence(folder)
    cells = evidence.cells
    found = trials(cells, rule)
    scores = pd.concat([scored(trial) for trial in found], ignore_index=True)
    summaries = {trial.name: summary_blocks(scores, trial) for trial in found}
    first = [gain_block(cells, rule), *summaries.get(NEW, summaries[TARGETS])]
    every = [block for some in summaries.values() for block in some]
    blocks = [first[0], *every, selector_block(cells), *score_blocks(scores, rule)]
    lines = [verdict(scores), *_costs(evidence.records)]
    place = folder / "evidence"
    files = {
        place / "cells.csv": cells.to_csv(index=False, lineterminator="\n"),
        place / "scores.csv": scores.to_csv(index=False, lineterminator="\n"),
        place / "README.md": _document(evidence.results.study.study, rule, lines, blocks),
    }
    for file, text in files.items():
        write_atomically(file, text)
    return [*files, *_figures(place, found)], first, lines


def _document(study: str, rule: Rule, lines: list[str], blocks: list[Block]) -> str:
    head = f"# How well the rule predicts, on the study {study}"
    on = rule.fitted_on
    basis = f"Rule: {' + '.join(rule.features)}, fitted on {', '.join(on.targets)}." if on else ""
    return "\n\n".join([head, basis, markdown_list(lines), *map(markdown, blocks)]) + "\n"


def _costs(records: Sequence[DiagnosisRecord]) -> list[str]:
    shares = pd.Series([record.cost.share for record in records])
    return [
        f"cost of a diagnosis: {shares.median():.1%} of the FLOPs of training the main model once "
        f"(median of {len(shares)}, {shares.min():.1%} to {shares.max():.1%})"
    ]


def _figures(place: Path, found: list[Trial]) -> list[Path]:
    files = []
    with mpl_style.context(["default", RC]):
        for trial in found:
            if trial.name == THEMSELVES:
                continue
            name = trial.name.replace(" ", "-")
            files += publish(gain_figure(trial), place, f"gains-{name}")
            files += publish(calibration_figure(trial), place, f"calibration-{name}")
    return files
