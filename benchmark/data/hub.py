"""Documents of any data set that ``datasets`` can open: streamed, downloaded or saved to disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from copy import deepcopy
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.core.spelling import spelled
from benchmark.data.fields import documents_of_records, noting_absent
from benchmark.data.files import content_digest
from benchmark.data.obituary import now_reading
from benchmark.data.opening import one_line
from benchmark.data.source import HubSource
from benchmark.data.text import Document, Tally


def read_hub(source: HubSource, tally: Tally) -> Iterator[Document]:
    """Documents in the data set's order; raises `UserError` if it cannot be opened or read."""
    records = islice(hub_records(source, tally), source.max_documents)
    places = ((f"{source.dataset}: row {i}", record) for i, record in enumerate(records, start=1))
    documents = documents_of_records(places, source, source.dataset, tally)
    return noting_absent(documents, source, tally)


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


def hub_records(source: HubSource, tally: Tally) -> Iterator[dict[str, Any]]:
    """Records in the data set's order, images as the bytes that they are stored as."""
    where = f"dataset: {source.dataset!r} (name {source.name!r}, split {source.split!r})"
    rows = 0
    now_reading(where)
    try:
        for record in _whatever_the_columns(source, tally):
            yield record
            rows += 1
    except UserError:
        raise
    except Exception as error:  # what a loader may raise is any library's, and none is listed
        place = f"cannot be read after row {rows}" if rows else "cannot be loaded"
        raise UserError(f"{where}: {place}: {_causes(error)}{_advice(source)}") from error


def _whatever_the_columns(source: HubSource, tally: Tally) -> Iterator[dict[str, Any]]:
    """All records; file by file from where the columns of one are not those of the others."""
    rows = 0
    try:
        for record in _used_columns(_load(source), source, tally):
            yield record
            rows += 1
        return
    except Exception as error:
        files = _file_by_file(source) if _columns_differ(error) else []
        if len(files) < 2:  # the same again
            raise
    records = (
        record
        for file in files
        for record in _used_columns(file.as_streaming_dataset(source.split), source, tally)
    )
    yield from islice(records, rows, None)


def _columns_differ(error: BaseException) -> bool:
    """Whether values of one type were to become another; the exception is of many types."""
    return any("couldn't cast" in str(link).lower() for link in _links(error))


def _file_by_file(source: HubSource) -> list[Any]:
    """A builder for each file of the data set, with the columns of that file; none if it has none.

    Nor if its author says what the columns are.
    """
    from datasets import load_dataset_builder
    from datasets.data_files import DataFilesDict, DataFilesList

    whole = load_dataset_builder(
        source.dataset,
        source.name,
        revision=source.revision,
        data_files=list(source.data_files) if source.data_files else None,
    )
    files = (whole.config.data_files or {}).get(source.split, [])
    # Not by copy, which leaves builders one dictionary for all that they hold.
    builders = [deepcopy(whole) for _ in files if whole.info.features is None]
    for builder, file in zip(builders, files, strict=False):
        builder.config.data_files = DataFilesDict({source.split: DataFilesList([file], [])})
    return builders


def _advice(source: HubSource) -> str:
    """Another way to what is on this machine already."""
    local = Path(source.dataset).exists() or any(Path(f).exists() for f in source.data_files or ())
    return "; `files:` reads local files, and only the fields that are asked for" if local else ""


def _load(source: HubSource) -> Any:
    """The data set, from what ``save_to_disk`` has written if the name is such a folder."""
    import datasets

    folder = Path(source.dataset)
    if not any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        return datasets.load_dataset(
            source.dataset,
            source.name,
            split=source.split,
            revision=source.revision,
            data_files=list(source.data_files) if source.data_files else None,
            streaming=source.streaming,
        )
    saved = datasets.load_from_disk(source.dataset)
    splits = saved if isinstance(saved, dict) else {str(saved.split or "train"): saved}
    if source.split not in splits:
        raise UserError(
            f"dataset: {spelled(folder)}: split: no split {source.split!r}; "
            f"valid: {', '.join(sorted(splits))}"
        )
    return splits[source.split]


def _used_columns(data: Any, source: HubSource, tally: Tally) -> Any:
    """The data set without columns that nobody asked for: decoding one may fail, or take long."""
    data = _as_stored(data)
    names = data.column_names
    if not names:  # a stream whose columns show when it is read
        return data
    used = {field if field in names else field.split(".")[0] for field in source.asked}
    if not used <= set(names):
        return data  # the first row's message names the field and those that there are
    tally.unused(set(names) - used)
    return _with_names(data.select_columns(sorted(used)), source.answer_field)


def _as_stored(data: Any) -> Any:
    """The data set with images that are not decoded, so that a corrupt one can be left out."""
    from datasets import Image

    for name, feature in (data.features or {}).items():
        if isinstance(feature, Image):
            data = data.cast_column(name, Image(decode=False))
    return data


def _with_names(data: Any, field: str | None) -> Any:
    """Its records, with the names of labels that the data set numbers."""
    from datasets import ClassLabel

    feature = (data.features or {}).get(field)
    if field is None or not isinstance(feature, ClassLabel):
        return data
    names = [None, *feature.names]  # -1 is a label that is missing
    return ({**record, field: names[record[field] + 1]} for record in data)


def _links(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it came of, down to the first cause."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _causes(error: BaseException) -> str:
    """What they say, on one line."""
    said = dict.fromkeys(one_line(link) for link in islice(_links(error), 5))
    return "; because: ".join(said)
