"""A colleague's records in our study: each is checked by itself, then all that may come in do.

Records are read as JSON and checked against their own spec and against ours; nothing of a
method's code is imported, and nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically, write_once
from benchmark.running.merging.checks import not_ours, require_same_figures
from benchmark.running.merging.places import as_ours
from benchmark.running.merging.reading import ForeignRun, RefusedError, read_run
from benchmark.study.records import load_records, read_index, read_record, run_folder, write_index
from benchmark.study.study import Study


@dataclass(frozen=True)
class ImportPlan:
    """What an import would do to the results folder ``into``, whose study becomes ``study``.

    ``new`` runs come in, ``present`` ones are here with the same figures, and ``refused`` tells
    for each other run folder why it stays out. ``methods`` and ``seeds`` are new to the study.
    """

    into: Path
    study: Study
    new: tuple[ForeignRun, ...]
    present: tuple[str, ...]
    refused: dict[str, str]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]


def plan_import(folder: Path, into: Path) -> ImportPlan:
    """Check every record below ``folder``, a results folder, against the study in ``into``.

    Records of the same rows from files in another place come in under our paths.

    Raises:
        UserError: ``folder`` holds no records, or ``into`` no valid study.
    """
    files = sorted((folder / "runs").glob("*/record.json"))
    if not files:
        raise UserError(
            f"{folder}: no records here; give a study's results folder, one that has "
            "runs/RUN/record.json"
        )
    study = read_index(into).study
    runs, refused = _readable(files)
    refused |= not_ours((run.record for run in runs), study, load_records(into))
    new: list[ForeignRun] = []
    present: list[ForeignRun] = []
    for run in (run for run in runs if run.record.run_id not in refused):
        try:
            moved = as_ours(run, study)
            (present if _is_here(moved, into, new) else new).append(moved)
        except RefusedError as error:
            refused[run.record.run_id] = str(error)
    extended = _extended(study, new, _labels(folder))
    return ImportPlan(
        into=into,
        study=extended,
        new=tuple(new),
        present=tuple(run.record.run_id for run in present),
        refused=dict(sorted(refused.items())),
        methods=tuple(e.label for e in extended.methods if e not in study.methods),
        seeds=tuple(seed for seed in extended.seeds if seed not in study.seeds),
    )


def carry_out(plan: ImportPlan) -> None:
    """Copy the new runs' files, then extend the study; after a failure none of them is there.

    A run counts once its record is there, so records are what a failure takes back.

    Raises:
        UserError: the results folder cannot be written or its disk is full.
    """
    if not plan.new:
        return
    written: list[Path] = []
    try:
        for run in plan.new:
            target = run_folder(plan.into, run.record.run_id)
            if run.metrics_text is not None:
                write_atomically(target / "metrics.jsonl", run.metrics_text)
            # Not replaced, should the run have ended here in the meantime.
            if write_once(target / "record.json", run.record_text):
                written.append(target / "record.json")
        write_index(plan.into, plan.study)
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        raise


def _readable(files: Iterable[Path]) -> tuple[list[ForeignRun], dict[str, str]]:
    """The runs that are whole and true to their own spec, and why others are not."""
    runs, refused = [], {}
    for file in files:
        try:
            runs.append(read_run(file))
        except RefusedError as error:
            refused[file.parent.name] = str(error)
    return runs, refused


def _is_here(run: ForeignRun, into: Path, new: Iterable[ForeignRun]) -> bool:
    """Whether we have a run, or have just taken it from another place of theirs."""
    known = {other.record.run_id: other.record for other in new}
    ours = read_record(into, run.record.run_id) or known.get(run.record.run_id)
    if ours is not None:
        require_same_figures(run.record, ours)
    return ours is not None


def _labels(folder: Path) -> list[str]:
    """Method labels in the order of the colleague's study, where the folder has one."""
    if not (folder / "study.json").exists():
        return []
    return [entry.label for entry in read_index(folder).study.methods]


def _extended(study: Study, new: list[ForeignRun], order: list[str]) -> Study:
    """Our study with the methods and seeds of the new runs.

    A new method comes after the one that it follows in their study, else at the end.
    """
    entries = {entry.label: entry for entry in (run.record.spec.method for run in new)}
    methods = list(study.methods)
    here = [entry.label for entry in methods]
    ordered = [label for label in order if label in entries]
    ordered += [label for label in entries if label not in order]
    for label in (label for label in ordered if label not in here):
        before = order[order.index(label) - 1] if label in order[1:] else None
        place = here.index(before) + 1 if before in here else len(here)
        here.insert(place, label)
        methods.insert(place, entries[label])
    seeds = sorted({*study.seeds, *(run.record.spec.seed for run in new)})
    return study.model_copy(update={"methods": tuple(methods), "seeds": tuple(seeds)})
