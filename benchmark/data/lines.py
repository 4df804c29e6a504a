"""Documents of text files and records of JSON lines, a line at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from benchmark.core.errors import UserError
from benchmark.data.listing import shown
from benchmark.data.opening import open_text, reading
from benchmark.data.text import Tally

LONGEST_PARAGRAPH_BYTES = 1 << 20

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


def json_records(path: Path) -> Iterator[tuple[str, Record]]:
    """Place (for messages) and record of each line that is not blank."""
    with reading(path), open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            # Files with byte-order marks, one after the other, have marks inside.
            text = _decode(line, path, number).lstrip("\ufeff")
            if text.strip():
                place = f"{shown(path)}: line {number}"
                yield place, _record(text, place)


def _record(text: str, place: str) -> Record:
    advice = "expected one JSON object a line (jq -c makes such a file of others)"
    try:
        record = json.loads(text.rstrip())
    except json.JSONDecodeError as error:
        raise UserError(
            f"{place}: not valid JSON: {error.msg} (column {error.pos + 1}); {advice}"
        ) from None
    except RecursionError:
        raise UserError(f"{place}: nested too deep to be read; {advice}") from None
    except ValueError:  # Python refuses to read whole numbers of more than 4,300 digits
        raise UserError(f"{place}: holds a number of too many digits; shorten it") from None
    if not isinstance(record, dict):
        raise UserError(f"{place}: {advice}, got a {type(record).__name__}")
    return record


def _decode(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{shown(path)}: line {number}: byte 0x{line[error.start]:02x} is not valid UTF-8; "
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
