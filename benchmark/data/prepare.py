"""From sources to the splits that runs read: generic rows and the target's three samples."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically
from benchmark.core.frozen import Frozen
from benchmark.data.config import DataConfig, TargetConfig
from benchmark.data.dedup import RowSet, blocks
from benchmark.data.rows import Progress, RowStore, build_rows
from benchmark.data.sources import listing_notes
from benchmark.data.splits import GENERIC_VALID, SetAside, Split, set_aside, split_target
from benchmark.data.storage import ArrayWriter, build_folder, open_array
from benchmark.data.views import RowView, view_fingerprint

SPLIT_VERSION = 2
GENERIC = "generic"
REPORT = "report.json"
SPLITS = (GENERIC, GENERIC_VALID, "target_train", "target_valid", "target_test")


class DataReport(Frozen):
    """How sources became splits; counts are of rows unless named otherwise.

    The splits are ``generic`` and ``generic_valid``, ``target_train``, ``target_valid`` and
    ``target_test``.
    ``domain_rows`` counts the generic training rows of each provenance domain.
    ``duplicates_removed`` maps a split to the rows left out of it, by the split that holds the
    same row. A row repeated within its own split counts under that split's own name.
    ``left_out`` says of the generic corpus and of the target what was not read or not used.
    """

    sources: dict[str, str]
    """The sources of ``generic`` and ``target``, in words."""
    stores: dict[str, str]
    """The folders of their rows, inside ``rows`` of the cache."""
    tokenizer: str
    """What made tokens of the text: ``bytes``, or a tokeniser's name or folder."""
    vocabulary_size: int
    """Number of different tokens, padding included."""
    width: int
    """Tokens a row."""
    rows: dict[str, int]
    """Rows of each split."""
    domain_rows: dict[str, int]
    documents: dict[str, int]
    """Documents that each split has rows of."""
    duplicates_removed: dict[str, dict[str, int]]
    fingerprints: dict[str, str]
    """Digest of the rows of each split."""
    left_out: dict[str, tuple[str, ...]] = Field(default_factory=dict)


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
    data: DataConfig, target: TargetConfig, cache: Path, progress: Progress | None = None
) -> PreparedData:
    """Build, or find in the cache, the rows and the splits of a generic corpus and a target.

    No row is in two of: target test, target valid, target train, generic valid; the first of
    them keeps it. Generic training rows that equal a row of target test, target valid or generic
    valid are removed, and so is the rest of each section that generic valid took from.
    Raises `UserError` if a source is unusable, a split cannot be filled or the disk is full.
    """
    generic = build_rows(data.generic, data, cache, progress)
    sample = build_rows(target.source, data, cache, progress)
    folder = cache / "prepared" / _key(generic, sample, data, target)
    if not folder.is_dir():
        build_folder(folder, lambda partial: _write(partial, generic, sample, data, target))
    left_out = {
        "generic": (*listing_notes(data.generic), *generic.meta.notes),
        "target": (*listing_notes(target.source), *sample.meta.notes),
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
    identity = {
        "version": SPLIT_VERSION,
        "stores": [generic.folder.name, sample.folder.name],
        "sizes": [target.train, target.valid, target.test, data.generic_valid],
    }
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class _Written:
    """One index file and what the report says about it."""

    n_rows: int
    n_documents: int
    repeated: dict[str, int]
    fingerprint: str
    domain_rows: dict[str, int] = field(default_factory=dict)


def _write(
    folder: Path, generic: RowStore, sample: RowStore, data: DataConfig, target: TargetConfig
) -> None:
    evaluated = RowSet()
    sizes = {"train": target.train, "valid": target.valid, "test": target.test}
    splits = split_target(sample, sizes, evaluated)
    aside = set_aside(generic, data.generic_valid, evaluated)
    written = {
        f"target_{name}": _write_split(folder, f"target_{name}", sample, split)
        for name, split in splits.items()
    }
    written[GENERIC_VALID] = _write_split(folder, GENERIC_VALID, generic, aside.split)
    written[GENERIC] = _write_generic(folder, generic, aside, evaluated)
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
        fingerprints={name: written[name].fingerprint for name in SPLITS},
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
    )


def _write_generic(folder: Path, store: RowStore, aside: SetAside, evaluated: RowSet) -> _Written:
    """Index of the generic training rows, block by block."""
    repeated: Counter[str] = Counter()
    n_documents, last_document = 0, -1
    names = store.meta.domain_names
    domain_rows = np.zeros(len(names), dtype=np.int64)
    with ArrayWriter(folder / f"{GENERIC}.npy", np.int64) as out:
        for block in blocks(len(store), store.meta.width):
            keep = ~aside.keeps_out(store.sections[block])
            for i, holder in evaluated.labels(store.tokens[block]).items():
                # Training on a row of the target's train sample gives nothing away.
                if keep[i] and holder != "train":
                    keep[i] = False
                    repeated[holder] += 1
            out.append(block.start + np.flatnonzero(keep))
            domain_rows += np.bincount(store.domains[block][keep], minlength=len(names))
            documents = np.append(last_document, store.documents[block][keep])
            n_documents += int(np.count_nonzero(np.diff(documents)))
            last_document = int(documents[-1])
    if out.n_rows == 0:
        raise UserError(
            f"data.generic: source {store.meta.source} has {len(store)} rows, none of which is "
            f"left after setting generic_valid aside and removing the target's evaluation rows; "
            f"give a larger source"
        )
    return _Written(
        n_rows=out.n_rows,
        n_documents=n_documents,
        repeated=_by_full_name(repeated),
        fingerprint=view_fingerprint(store, out.sha256),
        domain_rows=dict(zip(names, domain_rows.tolist(), strict=True)),
    )


def _by_full_name(repeated: Counter[str]) -> dict[str, int]:
    """Counts under the names that the report uses for splits."""
    return {
        name if name == GENERIC_VALID else f"target_{name}": count
        for name, count in sorted(repeated.items())
    }
