"""Documents of any data set that ``datasets.load_dataset`` can open, streamed or downloaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
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
    """Digest of the local files that the data set is made of.

    A data set of the hub has none: it is known by its name, and by ``revision`` if one is given.
    """
    local = [Path(name) for name in source.data_files or () if Path(name).is_file()]
    if Path(source.dataset).is_dir():
        local += [path for path in Path(source.dataset).rglob("*") if path.is_file()]
    digest = hashlib.sha256()
    for path in sorted(local):
        digest.update(content_digest(path, cache).encode())
    return digest.hexdigest()


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
