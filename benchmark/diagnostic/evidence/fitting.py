"""Fitting the decision rule to targets whose gains are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.core.files import write_atomically
from benchmark.core.strict_yaml import dump_yaml
from benchmark.diagnostic.evidence.cells import load_evidence
from benchmark.diagnostic.evidence.gains import QUESTIONS
from benchmark.diagnostic.evidence.prediction import compare_candidates, fit
from benchmark.diagnostic.records import DiagnosisRecord
from benchmark.diagnostic.rule import Fitted, Question, Rule, Seen, load_rule
from benchmark.diagnostic.summary import MEASURES
from benchmark.study.records import load_records

HEADER = """\
# From the measures of a diagnosis' last checkpoint to probabilities and expected gains:
# log(p / (1 - p)), and the log ratio of losses, each intercept + the sum of weight x measure.
# Written by `adaptbench rule fit`.
"""


def fit_rule(folder: Path, targets: Sequence[str]) -> tuple[Rule, pd.DataFrame]:
    """The rule for the results in ``folder``, from ``targets`` alone (none: all).

    It uses the one measure that best predicts each target from the others: a dozen targets or
    fewer do not bear more. The comparison of all measures is the second thing given.

    Raises:
        UserError: see `load_evidence`.
    """
    evidence = load_evidence(folder, targets)
    cells, records = evidence.cells, evidence.records
    candidates = candidate_features(cells)
    compared = compare_candidates(cells, candidates)
    features = compared["features"].iloc[0]
    texts = load_rule().questions
    rule = Rule(
        status="fitted",
        fitted_on=Fitted(
            study=records[0].study,
            targets=tuple(cells["target"].unique()),
            settings=records[0].settings,
            at=tuple(checkpoint.label for checkpoint in records[0].checkpoints),
            seen=_seen(folder, [r for r in records if r.target in set(cells["target"])]),
        ),
        questions={
            name: Question(text=texts[name].text, fit=fit(cells, name, features))
            for name in QUESTIONS
        },
    )
    return rule, compared


def _seen(folder: Path, records: Sequence[DiagnosisRecord]) -> Seen:
    """The range of what the rule is fitted on, as the study's runs and diagnoses have it."""
    models = {record.model for record in records}
    runs = [run for run in load_records(folder) if run.spec.model_name in models]
    found = {
        "parameters": [run.parameters for run in runs],
        "steps": [run.spec.training.steps for run in runs],
        "sample": [record.sample for record in records],
    }
    ranges = {name: (min(all_), max(all_)) for name, all_ in found.items()}
    return Seen.model_validate({**ranges, "task": runs[0].spec.data.task})


def candidate_features(cells: pd.DataFrame) -> list[tuple[str, ...]]:
    """Every measure of alignment that is defined for all cells, on its own."""
    return [(name,) for name in MEASURES if cells[name].notna().all()]


def write_rule(file: Path, rule: Rule) -> None:
    """Publish a rule as YAML."""
    content = dump_yaml(rule.model_dump(mode="json"), width=99)
    write_atomically(file, HEADER + content)
