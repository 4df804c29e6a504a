"""One stream of documents, one fingerprint and one description for every kind of source."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tarfile import TarError
from typing import Any

from benchmark.core.errors import UserError
from benchmark.core.spelling import spelled
from benchmark.data.catalogue import load_catalogue
from benchmark.data.fetch import package_file
from benchmark.data.files import files_fingerprint, read_files, read_listed
from benchmark.data.hub import hub_fingerprint, read_hub
from benchmark.data.listing import list_files
from benchmark.data.member_readers import MEMBER_READERS, MEMBERS_VERSION
from benchmark.data.noise import NOISE_VERSION, random_letters
from benchmark.data.readers import READER_VERSION, READERS
from benchmark.data.source import (
    AnySource,
    EmbeddedSource,
    FilesSource,
    HubSource,
    MixturePart,
    MixtureSource,
    NoiseSource,
)
from benchmark.data.task_rows import Readers
from benchmark.data.text import (
    Document,
    Tally,
    Whitespace,
    clean,
    clean_documents,
    uniform_hash,
    without_duplicates,
)

TEXT = Readers(
    embedded=READERS,
    files=read_files,
    files_fingerprint=files_fingerprint,
    files_notes=lambda paths: list_files(paths).notes(),
    hub=read_hub,
    listed=read_listed,
    noise=random_letters,
)
"""Sources of plain text."""


def read_source(
    source: AnySource,
    cache: Path,
    whitespace: Whitespace = "collapse",
    tally: Tally | None = None,
    readers: Readers = TEXT,
) -> Iterator[Document]:
    """Cleaned, non-empty documents in a fixed order, as a stream; ``tally`` hears what is not used.

    Exact duplicates are skipped in embedded corpora only, where remembering them is cheap.
    Raises `UserError` for whatever is missing or unreadable.
    """
    tally = Tally() if tally is None else tally
    match source:
        case EmbeddedSource():
            return _read_embedded(source, cache, whitespace, tally, readers)
        case FilesSource():
            return clean_documents(readers.files(source, tally), whitespace, tally)
        case HubSource():
            return clean_documents(readers.hub(source, tally), whitespace, tally)
        case NoiseSource():
            assert readers.noise is not None, "refused when the study is read"
            return readers.noise(source.documents, source.seed)
        case MixtureSource():
            return _read_mixture(source, cache, whitespace, tally, readers)


def source_fingerprint(source: AnySource, cache: Path, readers: Readers = TEXT) -> str:
    """Digest that changes whenever the source's documents may."""
    described = json.dumps(_identity(source, cache, readers), sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()


def listing_notes(source: AnySource, readers: Readers = TEXT) -> tuple[str, ...]:
    """Which files of the source's folders are not read and why, a line each."""
    match source:
        case FilesSource():
            return readers.files_notes(source.files)
        case MixtureSource(mixture=parts):
            return tuple(
                f"{name}: {note}"
                for name, part in parts.items()
                for note in listing_notes(part.source, readers)
            )
        case _:
            return ()


def describe(source: AnySource) -> str:
    """The source in one short line, for reports and messages."""
    match source:
        case EmbeddedSource(embedded=name, part="all"):
            return name
        case EmbeddedSource(embedded=name, part=part):
            return f"{name} ({part})"
        case FilesSource(files=files):
            return ", ".join(spelled(path) for path in files)
        case HubSource():
            return "/".join(filter(None, (source.dataset, source.name, source.split)))
        case NoiseSource():
            return f"noise ({source.documents} documents)"
        case MixtureSource(mixture=parts):
            return " + ".join(_describe_part(name, part) for name, part in parts.items())


def _describe_part(name: str, part: MixturePart) -> str:
    inner = describe(part.source)
    shown = name if inner.split(" ")[0] == name else f"{name}: {inner}"
    return shown if part.megabytes is None else f"{shown} {part.megabytes:g} MB"


def _identity(source: AnySource, cache: Path, readers: Readers) -> dict[str, Any]:
    match source:
        case EmbeddedSource(embedded=name):
            catalogue = load_catalogue()
            corpus = catalogue.corpora[name]
            identity = {
                "package": catalogue.packages[corpus.package].sha256,
                "reader": f"{corpus.reader} {READER_VERSION}",
                "part": source.part,
                "held_out_share": corpus.held_out_share,
            }
            taken = {"members": corpus.members, "keys": corpus.keys, "version": MEMBERS_VERSION}
            return identity | taken if corpus.members else identity
        case FilesSource():
            choice = source.model_dump(mode="json", exclude={"files"})
            return choice | {"content": readers.files_fingerprint(source.files, cache)}
        case HubSource():
            choice = source.model_dump(mode="json", exclude={"streaming"})
            return choice | {"content": hub_fingerprint(source, cache)}
        case NoiseSource():
            return source.model_dump(mode="json") | {"version": NOISE_VERSION}
        case MixtureSource(mixture=parts):
            return {
                "parts": [
                    [name, part.megabytes, _thinning(part), _identity(part.source, cache, readers)]
                    for name, part in parts.items()
                ]
            }


def _read_embedded(
    source: EmbeddedSource, cache: Path, whitespace: Whitespace, tally: Tally, readers: Readers
) -> Iterator[Document]:
    corpus = load_catalogue().corpora[source.embedded]
    package = package_file(source.embedded, cache)
    try:
        if corpus.members:
            found = MEMBER_READERS[corpus.reader](package, corpus, source.embedded)
        else:
            found = readers.embedded[corpus.reader](package)
        documents = clean_documents(found, whitespace, tally)
        for document in without_duplicates(documents):
            # The same documents are held out, however their white space is treated.
            held_out = uniform_hash(clean(document.text), "held-out") < corpus.held_out_share
            if source.part == "all" or held_out == (source.part == "held_out"):
                yield document
    except (OSError, zipfile.BadZipFile, TarError) as error:
        raise UserError(f"{package}: cannot be read: {error}") from error


def _read_mixture(
    source: MixtureSource, cache: Path, whitespace: Whitespace, tally: Tally, readers: Readers
) -> Iterator[Document]:
    for name, part in source.mixture.items():
        for document in _read_part(part, cache, whitespace, tally, readers):
            yield document._replace(domain=name)


def _read_part(
    part: MixturePart, cache: Path, whitespace: Whitespace, tally: Tally, readers: Readers
) -> Iterator[Document]:
    documents = read_source(part.source, cache, whitespace, tally, readers)
    share = _thinning(part)
    if share is not None:
        return (d for d in documents if uniform_hash(clean(d.text), "mixture") < share)
    if part.megabytes is not None:
        return _first_megabytes(documents, part.megabytes)
    return documents


def _thinning(part: MixturePart) -> float | None:
    """Share of an embedded corpus' documents to keep; None if all or the first ones are taken."""
    if part.megabytes is None or not isinstance(part.source, EmbeddedSource):
        return None
    corpus = load_catalogue().corpora[part.source.embedded]
    sizes = {"all": 1.0, "held_out": corpus.held_out_share, "train": 1 - corpus.held_out_share}
    return min(1.0, part.megabytes / (corpus.megabytes * sizes[part.source.part]))


def _first_megabytes(documents: Iterator[Document], megabytes: float) -> Iterator[Document]:
    taken = 0
    for document in documents:
        taken += document.size
        if taken > megabytes * 1e6:
            return
        yield document
