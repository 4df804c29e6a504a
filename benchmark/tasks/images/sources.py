"""Images out of folders and out of data sets that ``datasets`` can open."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.core.spelling import domain_name, spelled
from benchmark.data.files import content_digests
from benchmark.data.hub import hub_records
from benchmark.data.opening import reading
from benchmark.data.source import FilesSource, HubSource
from benchmark.data.text import Document, Tally
from benchmark.tasks.images.pictures import decoded, document_of

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
EXAMPLES_SHOWN = 3


def read_folders(source: FilesSource, tally: Tally) -> Iterator[Document]:
    """The images of folders, each labelled by the name of the folder that it lies in."""
    if source.domain_field is not None or source.answer_field is not None:
        raise UserError("files: images in folders have no fields: leave domain_field out")
    for path in _images(source.files)[0]:
        label = domain_name(path.parent.name)
        if source.domains and label not in source.domains:
            tally.count("images of domains that are not asked for")
            continue
        with reading(path):
            content = path.read_bytes()
        pixels = decoded(content, spelled(path), tally)
        if pixels is not None:
            yield document_of(pixels, label)


def folders_fingerprint(paths: tuple[Path, ...], cache: Path) -> str:
    """Digest of the images' bytes and labels, wherever they lie."""
    images = _images(paths)[0]
    digest = hashlib.sha256()
    for path, content in zip(images, content_digests(images, cache), strict=True):
        digest.update(f"{content} {path.parent.name}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def folder_notes(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Which files of the folders are not read."""
    others = _images(paths)[1]
    more = f" and {len(others) - EXAMPLES_SHOWN:,} more" * (len(others) > EXAMPLES_SHOWN)
    named = ", ".join(map(spelled, others[:EXAMPLES_SHOWN]))
    return (f"not read, hidden or no image: {named}{more}",) if others else ()


def _images(paths: tuple[Path, ...]) -> tuple[list[Path], list[Path]]:
    """The images below ``paths`` in order, and the files that are none."""
    images: list[Path] = []
    others: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"files: {spelled(path)}: no such file or folder")
        for file in [path] if path.is_file() else _below(path):
            plain = not file.name.startswith(".") and file.suffix.lower() in ENDINGS
            (images if plain else others).append(file)
    if not images:
        names = ", ".join(map(spelled, paths))
        raise UserError(f"files: no file in {names} ends in {', '.join(ENDINGS)}")
    return images, others


def _below(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names]
    return sorted(found)


def read_images(source: HubSource, tally: Tally) -> Iterator[Document]:
    """Images of a data set's column ``text_field``, labelled by ``answer_field``."""
    if source.answer_field is None:
        raise UserError(
            f"dataset: {source.dataset!r}: answer_field is missing: name the column of labels, and "
            "in text_field that of images"
        )
    left_out: Counter[str] = Counter()
    records = islice(hub_records(source, tally), source.max_documents)
    for number, record in enumerate(records, start=1):
        place = f"{source.dataset}: row {number}"
        label = record.get(source.answer_field)
        if label is None:
            tally.count("images without a label left out", example=place)
            continue
        domain = None
        if source.domain_field is not None:
            domain = domain_name(str(_value(record, source.domain_field, "domain_field", place)))
        if source.domains and domain not in source.domains:
            tally.count("images of domains that are not asked for")
            continue
        content = _bytes(_value(record, source.text_field, "text_field", place), place)
        pixels = None if content is None else decoded(content, place, tally)
        left_out["empty"] += content is None
        if pixels is not None:
            yield document_of(pixels, domain_name(str(label)), domain)
    tally.count("records without an image left out", left_out["empty"])


def _value(record: dict[str, Any], field: str, key: str, place: str) -> Any:
    if field not in record:
        raise UserError(
            f"{place}: {key}: no field {field!r}; valid here: {', '.join(sorted(record))}"
        )
    return record[field]


def _bytes(value: Any, place: str) -> bytes | None:
    """Of an image as ``datasets`` gives it undecoded: its bytes, or a path to them."""
    if isinstance(value, dict):
        content, path = value.get("bytes"), value.get("path")
        if content is None and path:
            with reading(Path(path)):
                return Path(path).read_bytes()
        value = content
    if value is not None and not isinstance(value, bytes):
        kind = type(value).__name__
        raise UserError(f"{place}: text_field: holds a {kind}, which is no image")
    return value
