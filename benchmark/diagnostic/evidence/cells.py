"""What was foretold of each (model, target, seed), beside what happened."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.core.errors import UserError, unknown
from benchmark.data.source import AnySource, EmbeddedSource
from benchmark.diagnostic.cheap import CHEAP
from benchmark.diagnostic.evidence.gains import CELL, gains
from benchmark.diagnostic.records import DiagnosisRecord, read_diagnosis
from benchmark.diagnostic.summary import MEASURES
from benchmark.report.results.inputs import StudyResults, load_results


@dataclass(frozen=True)
class Evidence:
    """A study's ``results``, the diagnoses of its cells (``records``), and both as ``cells``.

    ``cells`` has a row for each (model, target, seed) whose runs are done, with the columns
    ``corpus`` (what the target's text is from; several targets may share it), those of
    `gains.gains`, and the measures of the last checkpoint and the cheap predictors by their names
    (NaN where undefined).
    """

    results: StudyResults
    records: tuple[DiagnosisRecord, ...]
    cells: pd.DataFrame


def load_evidence(folder: Path, targets: Sequence[str] = ()) -> Evidence:
    """Read the results and diagnoses of ``targets`` (none: all).

    Raises:
        UserError: there is no such target, nothing is done, a cell was not diagnosed, or the
            diagnoses differ in sizes or were made under another protocol than the runs.
    """
    results = load_results(folder)
    for name in targets:
        if name not in results.study.targets:
            raise unknown("target", name, results.study.targets, at="--targets: ")
    cells = gains(results)
    if targets:
        cells = cells[cells["target"].isin(targets)].reset_index(drop=True)
    if cells.empty:
        raise UserError(f"{folder}: no run of these targets is done: {', '.join(targets)}")
    records = tuple(read_diagnosis(file) for file in _files(folder, cells))
    _require_alike(records, results)
    corpora = {name: _corpus(target.source) for name, target in results.study.targets.items()}
    cells.insert(len(CELL), "corpus", cells["target"].map(corpora))
    foretold = pd.DataFrame([_values(record) for record in records])
    return Evidence(results, records, cells.merge(foretold, on=CELL, validate="one_to_one"))


def _files(folder: Path, cells: pd.DataFrame) -> list[Path]:
    names = [f"{model}-{target}-s{seed}" for model, target, seed in cells[CELL].to_numpy()]
    files = [folder / "diagnosis" / f"{name}.json" for name in names]
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise UserError(
            f"{folder / 'diagnosis'}: {len(missing)} of {len(files)} diagnoses are missing "
            f"({missing[0]} ...): run adaptbench diagnose for every seed of the study"
        )
    return files


def _values(record: DiagnosisRecord) -> dict[str, object]:
    cell = dict(zip(CELL, (record.model, record.target, record.seed), strict=True))
    measures = {name: record.last.measures.get(name) for name in MEASURES}
    values = {
        name: math.nan if found is None or found.value is None else found.value
        for name, found in measures.items()
    }
    return cell | values | {name: record.cheap[name] for name in CHEAP}


def _corpus(source: AnySource) -> str:
    if isinstance(source, EmbeddedSource):
        return source.embedded
    return json.dumps(source.model_dump(mode="json"), sort_keys=True)


def _require_alike(records: Sequence[DiagnosisRecord], results: StudyResults) -> None:
    """Refuse diagnoses that cannot stand side by side.

    Raises:
        UserError: they differ in sizes or checkpoints, or were made of other data than the runs.
    """
    made = {
        (record.settings.sizes, tuple(c.label for c in record.checkpoints)) for record in records
    }
    if len(made) > 1:
        raise UserError(
            f"diagnosis: the records were made with {len(made)} different sizes or checkpoints "
            f"({'; '.join(map(str, sorted(made, key=str)))}): make them all again with one"
        )
    protocols = {
        (record.spec.model_name, record.spec.target_name): record.protocol
        for record in results.records
    }
    for record in records:
        expected = protocols[record.model, record.target]
        if record.protocol != expected:
            raise UserError(
                f"diagnosis/{record.stem}.json: made under protocol {record.protocol[:8]}, the "
                f"runs under {expected[:8]}: diagnose again"
            )
