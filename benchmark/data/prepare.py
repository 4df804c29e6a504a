"""From sources to the splits that runs read: generic rows and the target's three samples."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically
from benchmark.data.building import Progress
from benchmark.data.config import DataConfig, TargetConfig
from benchmark.data.dedup import RowSet
from benchmark.data.encoding import Integers
from benchmark.data.near import NEAR_VERSION, HeldOut
from benchmark.data.report import DataReport, NearTally, near_duplicates
from benchmark.data.rows import RowStore, build_rows
from benchmark.data.sources import listing_notes
from benchmark.data.splits import (
    GENERIC_VALID,
    TRAIN,
    SetAside,
    Split,
    full_name,
    held_out,
    nothing_left,
    set_aside,
    split_target,
    whole_sections,
)
from benchmark.data.storage import ArrayWriter, build_folder, open_array
from benchmark.data.task_rows import rows_of
from benchmark.data.views import RowView, view_fingerprint

SPLIT_VERSION = 2
GENERIC = "generic"
REPORT = "report.json"
SPLITS = (GENERIC, GENERIC_VALID, "target_train", "target_valid", "target_test")


@dataclass(frozen=True)
class PreparedData:
    """The splits of one generic corpus and one target, memory-mapped."""

    folder: Path
    generic: RowView
    generic_valid: RowView
    target_train: RowView
    target_valid: RowView
    target_test: RowView
    vocabulary_size: int
    width: int
    tokenizer: str
    report: DataReport

    @property
    def given(self) -> int:
        """Leading cells of a row that a model is given and does not predict."""
        return self.generic.store.meta.given

    @property
    def cache(self) -> Path:
        """The cache that holds it."""
        return self.folder.parent.parent

    @property
    def fingerprint(self) -> str:
        """Digest of the rows of every split."""
        return hashlib.sha256(json.dumps(self.report.fingerprints).encode()).hexdigest()

    def summary(self) -> dict[str, Any]:
        """What a record says about its data."""
        return {"fingerprint": self.fingerprint, **self.report.model_dump(mode="json")}


def prepare(
    data: DataConfig,
    target: TargetConfig,
    cache: Path,
    progress: Progress | None = None,
    jobs: int = 1,
) -> PreparedData:
    """Build, or find in the cache, the rows and the splits of a generic corpus and a target.

    No row is in two of: target test, target valid, target train, generic valid; the first of
    them keeps it. Generic training rows that equal a row of target test, target valid or generic
    valid are removed, and so is the rest of each section that generic valid took from. With
    ``data.near_duplicates`` "remove", so are training rows that resemble, or whose document
    resembles, one of target test, target valid or (generic rows only) generic valid: the side that
    is trained on loses them, so that test and valid are the same with and without. ``jobs``
    processes build rows side by side.
    Raises `UserError` if a source is unusable, a split cannot be filled or the disk is full.
    """
    generic = build_rows(data.generic, data, cache, progress, jobs)
    sample = build_rows(target.source, data, cache, progress, jobs)
    folder = cache / "prepared" / _key(generic, sample, data, target)
    if not folder.is_dir():
        build_folder(
            folder, lambda partial: _write(partial, generic, sample, data, target, progress)
        )
    readers = rows_of(data.task).readers
    left_out = {
        "generic": (*listing_notes(data.generic, readers), *generic.meta.notes),
        "target": (*listing_notes(target.source, readers), *sample.meta.notes),
    }
    return _noting(open_prepared(folder), left_out)


def _noting(prepared: PreparedData, left_out: dict[str, tuple[str, ...]]) -> PreparedData:
    """The data with what is left out of its sources today; the same rows may lie elsewhere."""
    if prepared.report.left_out == left_out:
        return prepared
    report = prepared.report.model_copy(update={"left_out": left_out})
    if os.access(prepared.folder, os.W_OK):  # a cache may be shared, and not ours to write
        write_atomically(prepared.folder / REPORT, report.model_dump_json(indent=1) + "\n")
    return replace(prepared, report=report)


def open_prepared(folder: Path) -> PreparedData:
    """Reopen what `prepare` wrote, without reading any rows; raises `UserError` if damaged."""
    path = folder / REPORT
    try:
        report = DataReport.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{folder}: no prepared data here; prepare it first") from None
    except ValidationError as error:
        raise UserError(
            f"{path}: damaged ({error.errors()[0]['msg']}); delete the folder to rebuild it"
        ) from None
    rows = folder.parent.parent / "rows"
    stores = {name: RowStore.open(rows / key) for name, key in report.stores.items()}
    views = {name: _open_view(folder, name, stores, report) for name in SPLITS}
    return PreparedData(
        folder=folder,
        vocabulary_size=report.vocabulary_size,
        width=report.width,
        tokenizer=report.tokenizer,
        report=report,
        **views,
    )


def _open_view(folder: Path, name: str, stores: dict[str, RowStore], report: DataReport) -> RowView:
    path = folder / f"{name}.npy"
    index = open_array(path)
    if index.shape != (report.rows[name],) or index.dtype != np.int64:
        raise UserError(f"{path}: damaged; delete the folder {folder} to rebuild it")
    store = stores[name.split("_")[0]]
    return RowView(store=store, index=index, fingerprint=report.fingerprints[name])


def _key(generic: RowStore, sample: RowStore, data: DataConfig, target: TargetConfig) -> str:
    identity: dict[str, Any] = {
        "version": SPLIT_VERSION,
        "stores": [generic.folder.name, sample.folder.name],
        "sizes": [target.train, target.valid, target.test, data.generic_valid],
    }
    if data.near_duplicates == "remove":
        identity["without_near_duplicates"] = NEAR_VERSION
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class _Written:
    """One index file and what the report says about it."""

    n_rows: int
    n_documents: int
    repeated: dict[str, int]
    fingerprint: str
    near: NearTally
    domain_rows: dict[str, int] = field(default_factory=dict)


def _write(
    folder: Path,
    generic: RowStore,
    sample: RowStore,
    data: DataConfig,
    target: TargetConfig,
    progress: Progress | None,
) -> None:
    evaluated = RowSet()
    sizes = {TRAIN: target.train, "valid": target.valid, "test": target.test}
    without_near = data.near_duplicates == "remove"
    splits = split_target(sample, sizes, evaluated, without_near)
    aside = set_aside(generic, data.generic_valid, evaluated)
    held = held_out(sample, splits, (generic, aside.split)) if without_near else None
    written = {
        full_name(name): _write_split(folder, full_name(name), sample, split)
        for name, split in splits.items()
    }
    written[GENERIC_VALID] = _write_split(folder, GENERIC_VALID, generic, aside.split)
    written[GENERIC] = _write_generic(folder, generic, aside, evaluated, held, progress)
    columns = {
        name: partial(
            _column,
            generic if name in (GENERIC, GENERIC_VALID) else sample,
            open_array(folder / f"{name}.npy"),
        )
        for name in SPLITS
    }
    near = {name: written[name].near for name in (GENERIC, full_name(TRAIN))}
    names = generic.meta.domain_names
    report = DataReport(
        sources={"generic": generic.meta.source, "target": sample.meta.source},
        stores={"generic": generic.folder.name, "target": sample.folder.name},
        tokenizer=generic.meta.tokenizer,
        vocabulary_size=generic.meta.vocabulary_size,
        width=generic.meta.width,
        domain_rows=written[GENERIC].domain_rows,
        rows={name: written[name].n_rows for name in SPLITS},
        documents={name: written[name].n_documents for name in SPLITS},
        duplicates_removed={name: written[name].repeated for name in SPLITS},
        near_duplicates=near_duplicates(near, GENERIC, names) if without_near else None,
        fingerprints={name: written[name].fingerprint for name in SPLITS},
        notes=rows_of(data.task).notes(data, columns),
    )
    (folder / REPORT).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _write_split(folder: Path, name: str, store: RowStore, split: Split) -> _Written:
    positions = np.asarray(split.positions, dtype=np.int64)
    with ArrayWriter(folder / f"{name}.npy", np.int64) as out:
        out.append(positions)
    return _Written(
        n_rows=len(positions),
        n_documents=len(np.unique(store.documents[positions])),
        repeated=_by_full_name(split.repeated),
        fingerprint=view_fingerprint(store, out.sha256),
        near=split.near,
    )


def _write_generic(
    folder: Path,
    store: RowStore,
    aside: SetAside,
    evaluated: RowSet,
    held: HeldOut | None,
    progress: Progress | None,
) -> _Written:
    """Index of the generic training rows, block by block; without what is near to ``held``."""
    repeated: Counter[str] = Counter()
    near = NearTally()
    n_documents, last_document = 0, -1
    names = store.meta.domain_names
    domain_rows = np.zeros(len(names), dtype=np.int64)
    with ArrayWriter(folder / f"{GENERIC}.npy", np.int64) as out:
        for block in whole_sections(store):
            tokens, sections = store.tokens[block], store.sections[block]
            keep = ~aside.keeps_out(sections)
            for i, holder in evaluated.labels(tokens).items():
                # Training on a row of the target's train sample gives nothing away.
                if keep[i] and holder != TRAIN:
                    keep[i] = False
                    repeated[holder] += 1
            for i, match in ({} if held is None else held.matches(tokens, sections)).items():
                if keep[i]:
                    keep[i] = False
                    near.count(block.start + i, int(store.domains[block.start + i]), match)
            if held is not None and progress is not None:
                progress(f"{store.meta.source} without near-duplicates", block.stop, len(store))
            out.append(block.start + np.flatnonzero(keep))
            domain_rows += np.bincount(store.domains[block][keep], minlength=len(names))
            documents = np.append(last_document, store.documents[block][keep])
            n_documents += int(np.count_nonzero(np.diff(documents)))
            last_document = int(documents[-1])
    if out.n_rows == 0:
        raise nothing_left(store, sum(near.counts.values()))
    return _Written(
        n_rows=out.n_rows,
        n_documents=n_documents,
        repeated=_by_full_name(repeated),
        fingerprint=view_fingerprint(store, out.sha256),
        near=near,
        domain_rows=dict(zip(names, domain_rows.tolist(), strict=True)),
    )


def _column(store: RowStore, index: Integers, place: int) -> Integers:
    """The cells at one place of the rows of a split."""
    return np.asarray(store.tokens[index, place])


def _by_full_name(repeated: Counter[str]) -> dict[str, int]:
    """Counts under the names that the report uses for splits."""
    return {full_name(name): count for name, count in sorted(repeated.items())}
