"""Documents out of local files, streamed.

- ``.txt``: paragraphs separated by blank lines, one document each;
- ``.jsonl``, ``.json``: one JSON object a line (the layout of C4 and the Pile), or one list;
- ``.parquet``, ``.arrow``: one row a document, also in folders of ``Dataset.save_to_disk``;

the first two also compressed (``.gz``, ``.bz2``, ``.xz``, ``.zst``), with byte-order marks or
without. Folders are searched recursively in sorted order, links followed; hidden files and files
of other kinds are left out and named. Unless ``domain_field`` says otherwise, the domain of a
document is the top-level sub-folder of its file, or the file's stem without marks of a shard
(``train-00001-of-00010`` is ``train``); files of more than 256 names in one folder are one domain.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically
from benchmark.core.spelling import spelled
from benchmark.data.columns import Records, arrow_records, parquet_records
from benchmark.data.fields import documents_of_records, noting_absent
from benchmark.data.lines import json_records, paragraphs
from benchmark.data.listing import COLUMNS, TEXT, LocalFile, kind_of, list_files
from benchmark.data.obituary import now_reading
from benchmark.data.opening import reading
from benchmark.data.signatures import require_columns
from benchmark.data.source import FilesSource
from benchmark.data.storage import file_sha256, writing
from benchmark.data.text import Document, Tally

Item = TypeVar("Item")


def read_files(source: FilesSource, tally: Tally) -> Iterator[Document]:
    """Documents of all files in order; raises `UserError` for whatever cannot be read."""
    return read_listed(list_files(source.files).files, source, tally)


def read_listed(
    files: Sequence[LocalFile], source: FilesSource, tally: Tally
) -> Iterator[Document]:
    """Documents of some of the source's files; raises `UserError` for whatever cannot be read."""
    return noting_absent(_documents(files, source, tally), source, tally)


def _documents(files: Sequence[LocalFile], source: FilesSource, tally: Tally) -> Iterator[Document]:
    for file in files:
        now_reading(spelled(file.path))
        if kind_of(file.path) in TEXT:
            documents = _texts(file.path, file.domain, source, tally)
        else:
            records = _noting_empty(_records(file.path, source, tally), file.path, tally)
            documents = documents_of_records(records, source, file.domain, tally)
        yield from documents


def _noting_empty(items: Iterator[Item], path: Path, tally: Tally) -> Iterator[Item]:
    empty = True
    for item in items:
        empty = False
        yield item
    tally.count("files without a document", empty, spelled(path))


def files_fingerprint(paths: tuple[Path, ...], cache: Path) -> str:
    """Hex digest of the files' contents, kinds and domains, wherever they lie."""
    digest = hashlib.sha256()
    files = list_files(paths).files
    contents = content_digests([file.path for file in files], cache)
    for file, content in zip(files, contents, strict=True):
        digest.update(f"{content} {kind_of(file.path)} {file.domain}\n".encode())
    return digest.hexdigest()


def content_digest(path: Path, cache: Path) -> str:
    """Digest of a file's bytes, remembered in the cache while size and time stay the same."""
    return content_digests([path], cache)[0]


def content_digests(paths: Sequence[Path], cache: Path) -> list[str]:
    """Digest of each file's bytes; one file of the cache remembers those of the whole list."""
    stamps = [_stamp(path) for path in paths]
    names = b"\n".join([os.fsencode(Path.cwd()), *(os.fsencode(path) for path in paths)])
    memory = cache / "digests" / hashlib.sha256(names).hexdigest()
    known = _remembered(memory)
    digests = {stamp: known[stamp] for stamp in stamps if stamp in known}
    missing = [pair for pair in zip(stamps, paths, strict=True) if pair[0] not in digests]
    for stamp, path in missing:
        with reading(path):
            digests[stamp] = file_sha256(path)
    if missing:
        with writing(memory.parent):
            memory.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(
            memory, "".join(f"{stamp} {digest}\n" for stamp, digest in digests.items())
        )
    return [digests[stamp] for stamp in stamps]


def _stamp(path: Path) -> str:
    """What changes, without spaces, whenever a file is written anew or is another one."""
    with reading(path):
        state = path.stat()
    # The last cannot be set back.
    times = f"{state.st_mtime_ns}-{state.st_ctime_ns}"
    return f"{state.st_dev}-{state.st_ino}-{state.st_size}-{times}"


def _remembered(memory: Path) -> dict[str, str]:
    """Digests by stamp; none if nothing, or something else, is kept there."""
    if not memory.is_file():
        return {}
    pairs = (line.split(" ") for line in memory.read_text(encoding="utf-8").splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _texts(path: Path, domain: str, source: FilesSource, tally: Tally) -> Iterator[Document]:
    for key in ("domain_field", "answer_field"):
        field = getattr(source, key)
        if field is not None:
            raise UserError(
                f"{spelled(path)}: {key}: a text file has no field {field!r}; leave {key} out, or "
                "name files of other kinds only"
            )
    wanted = not source.domains or domain in source.domains
    for text in _noting_empty(paragraphs(path, tally), path, tally):
        if wanted:
            yield Document(text, domain)
        else:
            tally.count("documents of domains that are not asked for")


def _records(path: Path, source: FilesSource, tally: Tally) -> Records:
    """Place (for messages) and record, one after the other."""
    with reading(path):
        if kind_of(path) in COLUMNS:
            require_columns(path)
        match kind_of(path):
            case ".parquet":
                yield from parquet_records(path, source, tally)
            case ".arrow":
                yield from arrow_records(path, source, tally)
            case _:
                yield from json_records(path, tally)
