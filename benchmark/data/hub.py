"""Documents of any data set that ``datasets.load_dataset`` can open, streamed or downloaded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.data.config import HubSource
from benchmark.data.fields import documents_of_records
from benchmark.data.files import content_digest
from benchmark.data.text import Document


def read_hub(source: HubSource) -> Iterator[Document]:
    """Documents in the data set's order; raises `UserError` if it cannot be opened or read."""
    records = islice(_records(source), source.max_documents)
    places = ((f"{source.dataset}: row {i}", record) for i, record in enumerate(records, start=1))
    return documents_of_records(places, source, source.dataset)


def hub_fingerprint(source: HubSource, cache: Path) -> str:
    """Digest of the local files that the data set is made of, those behind patterns too.

    A data set of the hub has none: it is known by its name, and by ``revision`` if one is given.
    """
    digest = hashlib.sha256()
    for name in source.data_files or ():
        matching = [name] if Path(name).exists() else sorted(glob(name, recursive=True))  # noqa: PTH207
        for path in map(Path, matching):
            files = _below(path) if path.is_dir() else [path]
            for file in files:
                digest.update(f"{file.name} {content_digest(file, cache)}\n".encode())
    folder = Path(source.dataset)
    for file in _below(folder):
        digest.update(f"{file.relative_to(folder)} {content_digest(file, cache)}\n".encode())
    return digest.hexdigest()


def _below(folder: Path) -> list[Path]:
    """All files below a folder, those behind links to folders too, which ``datasets`` follows."""
    found, seen = [], set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # links that lead in a circle
            folders.clear()
            continue
        seen.add(real)
        found += [Path(place, name) for name in names if Path(place, name).is_file()]
    return sorted(found)


def _records(source: HubSource) -> Iterator[dict[str, Any]]:
    import datasets
    import pyarrow

    failures = (
        *(OSError, ValueError, RuntimeError),
        *(pyarrow.ArrowException, datasets.exceptions.DatasetsError),
    )
    try:
        yield from datasets.load_dataset(
            source.dataset,
            source.name,
            split=source.split,
            revision=source.revision,
            data_files=list(source.data_files) if source.data_files else None,
            streaming=source.streaming,
        )
    except failures as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"dataset: {source.dataset!r} (name {source.name!r}, split {source.split!r}) "
            f"cannot be loaded: {reason}"
        ) from error
