"""Documents out of local files, streamed.

- ``.txt``: paragraphs separated by blank lines, one document each;
- ``.jsonl``, ``.json``: one JSON object a line (the layout of C4 and the Pile);
- ``.parquet``, ``.arrow``: one row a document;

the first three also compressed (``.gz``). Folders are searched recursively in sorted order,
hidden files and files of other kinds left out. Unless ``domain_field`` says otherwise, the domain
of a document is the top-level sub-folder of its file, or the file's stem without shard numbers
(``train-00001-of-00010`` is ``train``).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically
from benchmark.data.config import FilesSource
from benchmark.data.fields import documents_of_records
from benchmark.data.storage import file_sha256, writing
from benchmark.data.text import Document

LONGEST_PARAGRAPH_BYTES = 1 << 20
RECORDS_A_BATCH = 256

Record = dict[str, Any]


class LocalFile(NamedTuple):
    """A file and the domain that its place gives to its documents."""

    path: Path
    domain: str


def read_files(source: FilesSource) -> Iterator[Document]:
    """Documents of all files in order; raises `UserError` for whatever cannot be read."""
    for file in list_files(source.files):
        if _format(file.path) == ".txt":
            yield from (Document(text, file.domain) for text in _paragraphs(file.path))
        else:
            yield from documents_of_records(_records(file.path), source, file.domain)


def list_files(paths: tuple[Path, ...]) -> list[LocalFile]:
    """The files behind ``paths``, folders expanded; raises `UserError` if one is missing."""
    found = [file for path in paths for file in _expand(path)]
    if not found:
        names = ", ".join(str(path) for path in paths)
        raise UserError(f"files: no file in {names} ends in {_endings()}")
    return found


def files_fingerprint(paths: tuple[Path, ...], cache: Path) -> str:
    """Hex digest of the files' contents, kinds and domains, wherever they lie."""
    digest = hashlib.sha256()
    for file in list_files(paths):
        content = content_digest(file.path, cache)
        digest.update(f"{content} {_format(file.path)} {file.domain}\n".encode())
    return digest.hexdigest()


def content_digest(path: Path, cache: Path) -> str:
    """Digest of a file's bytes, remembered in the cache while size and time stay the same."""
    with reading(path):
        state = path.stat()
        times = f"{state.st_mtime_ns} {state.st_ctime_ns}"  # the second cannot be set back
        stamp = f"{path.resolve()} {state.st_size} {times} {state.st_ino}"
        known = cache / "digests" / hashlib.sha256(stamp.encode()).hexdigest()
        if known.is_file():
            return known.read_text(encoding="utf-8")
        digest = file_sha256(path)
    with writing(known.parent):
        known.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(known, digest)
    return digest


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn failures to read ``path`` into a `UserError` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"files: {path}: no such file or folder") from None
    except (OSError, EOFError, zlib.error) as error:  # the last two: damaged compressed files
        raise UserError(f"{path}: cannot be read: {error}") from error


def _expand(path: Path) -> Iterator[LocalFile]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            inner = file.relative_to(path).parts
            hidden = any(part.startswith(".") for part in inner)
            if file.is_file() and not hidden and _format(file) in _FORMATS:
                yield LocalFile(file, inner[0] if len(inner) > 1 else _stem_domain(file))
    elif not path.exists():
        raise UserError(f"files: {path}: no such file or folder")
    elif _format(path) not in _FORMATS:
        raise UserError(f"files: {path}: unknown kind of file; valid endings: {_endings()}")
    else:
        yield LocalFile(path, _stem_domain(path))


def _stem_domain(path: Path) -> str:
    """File name without endings and shard numbers; the folder's name if nothing else is left."""
    stem = path.name.removesuffix(".gz").removesuffix(_format(path))
    stem = re.sub(r"[-_.]?\d+(-of-\d+)?$", "", stem)
    return stem or path.resolve().parent.name or "files"


def _format(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix


def _endings() -> str:
    return ", ".join([*_FORMATS, *(f"{ending}.gz" for ending in (".txt", *_JSON))])


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _decode(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: line {number}: byte 0x{line[error.start]:02x} is not valid UTF-8; "
            f"convert the file to UTF-8"
        ) from None


def _paragraphs(path: Path) -> Iterator[str]:
    """Texts between blank lines; overlong ones in pieces, so that memory stays bounded."""
    lines: list[str] = []
    size = 0
    with reading(path), _open(path) as handle:
        for number, line in _bounded_lines(handle):
            text = _decode(line, path, number)
            if lines and (not text.strip() or size + len(line) > LONGEST_PARAGRAPH_BYTES):
                yield "".join(lines)
                lines, size = [], 0
            if text.strip():
                lines.append(text)
                size += len(line)
    if lines:
        yield "".join(lines)


def _bounded_lines(handle: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Line numbers and lines; overlong lines in pieces that do not cut a UTF-8 character."""
    number, rest = 1, b""
    while raw := handle.readline(LONGEST_PARAGRAPH_BYTES - len(rest)):
        line = rest + raw
        cut = len(line) if line.endswith(b"\n") else len(line) - _unfinished_bytes(line)
        yield number, line[:cut]
        rest = line[cut:]
        number += line.endswith(b"\n")
    if rest:
        yield number, rest


def _unfinished_bytes(line: bytes) -> int:
    """Length of a UTF-8 character at the end that needs more bytes than are there."""
    for length in (1, 2, 3):
        first = line[-length] if length <= len(line) else 0
        if first >= 0xC0:
            needed = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            return length if length < needed else 0
    return 0


def _records(path: Path) -> Iterator[tuple[str, Record]]:
    """Place (for messages) and record, one after the other."""
    with reading(path):
        yield from _RECORD_FORMATS[_format(path)](path)


def _json_records(path: Path) -> Iterator[tuple[str, Record]]:
    with _open(path) as handle:
        for number, line in enumerate(handle, start=1):
            text = _decode(line, path, number)
            if not text.strip():
                continue
            place = f"{path}: line {number}"
            try:
                record = json.loads(text)
            except json.JSONDecodeError as error:
                raise UserError(f"{place}: not valid JSON: {error.msg}") from None
            if not isinstance(record, dict):
                raise UserError(f"{place}: expected one JSON object a line, got {text[:40]!r}")
            yield place, record


def _parquet_records(path: Path) -> Iterator[tuple[str, Record]]:
    import pyarrow
    import pyarrow.parquet

    try:
        # A buffer makes Arrow read pages as they are needed instead of whole column chunks.
        with pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20) as file:
            number = 0
            for batch in file.iter_batches(batch_size=RECORDS_A_BATCH, use_threads=False):
                for record in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", record
    except pyarrow.ArrowException as error:
        raise UserError(f"{path}: not a readable Parquet file: {_first_line(error)}") from None


def _arrow_records(path: Path) -> Iterator[tuple[str, Record]]:
    import pyarrow

    try:
        with pyarrow.memory_map(str(path)) as memory:
            is_file = memory.read(6) == b"ARROW1"
            memory.seek(0)
            number = 0
            for batch in _arrow_batches(pyarrow.ipc, memory, is_file):
                for start in range(0, batch.num_rows, RECORDS_A_BATCH):
                    for record in batch.slice(start, RECORDS_A_BATCH).to_pylist():
                        number += 1
                        yield f"{path}: row {number}", record
    except pyarrow.ArrowException as error:
        raise UserError(f"{path}: not a readable Arrow file: {_first_line(error)}") from None


def _arrow_batches(ipc: Any, memory: Any, is_file: bool) -> Iterator[Any]:
    """Record batches of either Arrow layout; `datasets` writes the stream layout."""
    if is_file:
        reader = ipc.open_file(memory)
        yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        yield from ipc.open_stream(memory)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


_JSON = (".jsonl", ".json")
_RECORD_FORMATS: dict[str, Callable[[Path], Iterator[tuple[str, Record]]]] = {
    ".jsonl": _json_records,
    ".json": _json_records,
    ".parquet": _parquet_records,
    ".arrow": _arrow_records,
}
_FORMATS = (".txt", *_RECORD_FORMATS)
