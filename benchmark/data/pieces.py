"""The pieces of a source that can be read apart: some files each, or a whole source.

What a piece holds does not depend on the others, so that pieces are read side by side, and one
that has been read is found again after a kill.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.data.files import content_digests
from benchmark.data.listing import LocalFile, kind_of, list_files
from benchmark.data.source import (
    AnySource,
    EmbeddedSource,
    FilesSource,
    MixtureSource,
    NoiseSource,
)
from benchmark.data.sources import read_source, source_fingerprint
from benchmark.data.task_rows import Readers
from benchmark.data.text import Document, Tally, Whitespace, clean_documents

PIECE_BYTES = 1 << 26
"""Files that follow each other are one piece until they have so many bytes on the disk."""


@dataclass(frozen=True)
class Piece:
    """Some ``files`` of a source, or (None) all of it.

    ``key``: a digest of all that decides its documents, wherever they lie; ``domain``: what a
    mixture calls it; ``size``: bytes of its files on the disk, 0 if nobody knows.
    """

    source: AnySource
    key: str
    files: tuple[LocalFile, ...] | None = None
    domain: str | None = None
    size: int = 0

    def documents(
        self, cache: Path, whitespace: Whitespace, tally: Tally, readers: Readers
    ) -> Iterator[Document]:
        """As of `benchmark.data.sources.read_source`."""
        if self.files is None:
            documents = read_source(self.source, cache, whitespace, tally, readers)
        else:
            assert readers.listed is not None, "the source has been cut by it"
            assert isinstance(self.source, FilesSource)
            found = readers.listed(self.files, self.source, tally)
            documents = clean_documents(found, whitespace, tally)
        for document in documents:
            yield document if self.domain is None else document._replace(domain=self.domain)

    @property
    def lasts(self) -> bool:
        """Whether its rows stay when they are joined: mixtures share corpora, which are small."""
        source = self.source
        if isinstance(source, MixtureSource):
            inner: list[AnySource] = [part.source for part in source.mixture.values()]
        else:
            inner = [source]
        return all(isinstance(one, EmbeddedSource | NoiseSource) for one in inner)

    def called(self, domain: str) -> Piece:
        """The same as a mixture's part of that name."""
        return replace(self, domain=domain, key=_digest([self.key, domain]))


def pieces_of(source: AnySource, cache: Path, readers: Readers) -> list[Piece]:
    """The pieces of a source, whose documents, one piece after the other, are those of it.

    Raises:
        UserError: its files cannot be listed or read.
    """
    match source:
        case FilesSource() if readers.listed is not None:
            return [_of_files(source, group) for group in _groups(source, cache)]
        case MixtureSource(mixture=parts):
            return [
                piece
                for name, part in parts.items()
                for piece in (
                    [found.called(name) for found in pieces_of(part.source, cache, readers)]
                    if part.megabytes is None
                    # Where it ends depends on all of it.
                    else [_whole(MixtureSource(mixture={name: part}), cache, readers)]
                )
            ]
        case _:
            return [_whole(source, cache, readers)]


def _whole(source: AnySource, cache: Path, readers: Readers) -> Piece:
    return Piece(source, source_fingerprint(source, cache, readers))


def _groups(source: FilesSource, cache: Path) -> Iterator[list[tuple[LocalFile, str]]]:
    """The files with digests of what they hold, those of a piece together."""
    files = list_files(source.files).files
    digests = content_digests([file.path for file in files], cache)
    group: list[tuple[LocalFile, str]] = []
    size = 0
    for file, digest in zip(files, digests, strict=True):
        group.append((file, digest))
        size += file.path.stat().st_size
        if size >= PIECE_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _of_files(source: FilesSource, group: Sequence[tuple[LocalFile, str]]) -> Piece:
    files = tuple(file for file, _ in group)
    held = [[digest, file.domain, kind_of(file.path)] for file, digest in group]
    choice = source.model_dump(mode="json", exclude={"files"})
    size = sum(file.path.stat().st_size for file in files)
    return Piece(source, _digest([choice, held]), files, size=size)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
