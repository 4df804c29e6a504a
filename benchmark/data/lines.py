"""Documents of text files and records of JSON files, one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from benchmark.core.errors import UserError
from benchmark.core.spelling import spelled
from benchmark.data.json_values import NotJsonError, breaks_off, json_values
from benchmark.data.opening import open_text, reading
from benchmark.data.signatures import cut_short
from benchmark.data.text import Tally

LONGEST_PARAGRAPH_BYTES = 1 << 20
FIRST_LINE_BYTES = 1 << 16
ADVICE = (
    "expected one JSON object a line (jq -c makes such a file of others) or one list of objects"
)
TOO_LONG = "holds a number of too many digits; shorten it"
TOO_DEEP = f"nested too deep to be read; {ADVICE}"

Record = dict[str, Any]


def paragraphs(path: Path, tally: Tally) -> Iterator[str]:
    """Texts between blank lines; overlong ones in pieces, so that memory stays bounded."""
    lines: list[str] = []
    size = 0
    with reading(path), open_text(path) as handle:
        for number, line in _bounded_lines(handle):
            text = _decode(line, path, number)
            full = size + len(line) > LONGEST_PARAGRAPH_BYTES
            if lines and (not text.strip() or full):
                yield "".join(lines)
                tally.count("pieces of paragraphs over 1 MiB, a document each", full)
                lines, size = [], 0
            if text.strip():
                lines.append(text)
                size += len(line)
    if lines:
        yield "".join(lines)


def json_records(path: Path, tally: Tally) -> Iterator[tuple[str, Record]]:
    """Place (for messages) and record of each line that is not blank.

    Of a file whose first line is no record by itself: of each entry of the one list that it holds,
    or of each record in a row, over however many lines.
    """
    parser = _parser(tally)
    with reading(path), open_text(path) as handle:
        if not _is_a_record(handle.peek(FIRST_LINE_BYTES)):  # type: ignore[attr-defined]
            yield from _entries(path, handle, parser)
            return
        for number, line in enumerate(handle, start=1):
            # Files with byte-order marks, one after the other, have marks inside.
            text = _decode(line, path, number).lstrip("\ufeff")
            if text.strip():
                place = f"{spelled(path)}: line {number}"
                with _refusing(place):
                    record = _decoded(text.strip(), parser, line, path, number)
                yield place, _mapping(record, place)


def _is_a_record(start: bytes) -> bool:
    """Whether a line begins a file of lines; a list or the first line of an object does not."""
    line, end, _ = start.lstrip(b" \t\r\n").partition(b"\n")
    if not end:  # a long line, or a short file: only a list is read otherwise
        return not line.startswith(b"[")
    try:
        return isinstance(json.loads(line), dict) or line[:1] not in b"[{"
    except (ValueError, RecursionError):
        return line.rstrip() not in {b"{", b"["} and not line.startswith(b"[")


def _entries(
    path: Path, handle: BinaryIO, parser: json.JSONDecoder
) -> Iterator[tuple[str, Record]]:
    line = 1
    try:
        for line, value in json_values(handle, parser):
            place = f"{spelled(path)}: line {line}"
            yield place, _mapping(value, place)
    except NotJsonError as error:
        place = f"{spelled(path)}: line {error.line}"
        raise UserError(f"{place}: not valid JSON: {error}; {ADVICE}") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{spelled(path)}: after line {line}: not valid UTF-8 ({error.reason}); convert the "
            "file to UTF-8"
        ) from None
    except RecursionError:
        raise UserError(f"{spelled(path)}: after line {line}: {TOO_DEEP}") from None
    except ValueError:
        raise UserError(f"{spelled(path)}: after line {line}: {TOO_LONG}") from None


def _parser(tally: Tally) -> json.JSONDecoder:
    """Of JSON whose objects may have a key twice, which ``tally`` hears of."""

    def unique(pairs: list[tuple[str, Any]]) -> Record:
        found = dict(pairs)
        tally.count(
            "JSON objects with a key twice, of which the last counts", len(found) < len(pairs)
        )
        return found

    return json.JSONDecoder(object_pairs_hook=unique)


def _decoded(text: str, parser: json.JSONDecoder, line: bytes, path: Path, number: int) -> Any:
    try:
        return parser.decode(text)
    except json.JSONDecodeError as error:
        if not line.endswith(b"\n") and breaks_off(text, error):
            raise cut_short(path, f"line {number} breaks off: ") from None
        raise


@contextmanager
def _refusing(place: str) -> Iterator[None]:
    try:
        yield
    except json.JSONDecodeError as error:
        raise UserError(
            f"{place}: not valid JSON: {error.msg} (column {error.pos + 1}); {ADVICE}"
        ) from None
    except RecursionError:
        raise UserError(f"{place}: {TOO_DEEP}") from None
    except ValueError:  # Python refuses to read whole numbers of more than 4,300 digits
        raise UserError(f"{place}: {TOO_LONG}") from None


def _mapping(value: Any, place: str) -> Record:
    if not isinstance(value, dict):
        raise UserError(f"{place}: {ADVICE}, got a {type(value).__name__}")
    return value


def _decode(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{spelled(path)}: line {number}: byte 0x{line[error.start]:02x} is not valid UTF-8; "
            f"convert the file to UTF-8"
        ) from None


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
