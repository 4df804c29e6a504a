"""What a file holds by its first bytes, which know better than its name."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.core.spelling import spelled
from benchmark.data.listing import COLUMNS, compression, kind_of

LONGEST_SIGNATURE = 128
_PACKED = {
    ".gz": rb"\x1f\x8b\x08",
    ".bz2": rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",
    ".xz": rb"\xfd7zXZ\x00",
    ".zst": rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18",
}
_COLUMNS = {".parquet": rb"PAR1", ".arrow": rb"ARROW1"}
_AT_BOTH_ENDS = (b"PAR1", b"ARROW1")
_ARCHIVE = re.compile(rb"PK\x03\x04|Rar!|7z\xbc\xaf")
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/")


def compression_of(path: Path, start: bytes) -> str:
    """How a text file is compressed, from the bytes that it starts with; empty if it is not.

    Raises:
        UserError: it holds no text, or is not compressed as its name says.
    """
    require_no_pointer(path, start)
    held = _found(_COLUMNS, start)
    if held:
        raise UserError(f"{spelled(path)}: holds columns, not text: rename it to end in {held}")
    if _ARCHIVE.match(start):
        raise UserError(f"{spelled(path)}: is an archive: unpack it, and name the folder")
    found = _found(_PACKED, start)
    named = compression(path)
    if named and start and not found:
        raise UserError(
            f"{spelled(path)}: cannot be read: the name says {named}, but the content is not "
            "compressed, or damaged: rename it or fetch it again"
        )
    return found


def require_columns(path: Path) -> None:
    """Refuse a file that is named as one of columns and clearly holds something else.

    Raises:
        UserError: naming what it holds.
    """
    with path.open("rb") as handle:
        start = handle.read(LONGEST_SIGNATURE)
        handle.seek(max(0, path.stat().st_size - LONGEST_SIGNATURE))
        end = handle.read()
    require_no_pointer(path, start)
    if any(start.startswith(mark) and not end.endswith(mark) for mark in _AT_BOTH_ENDS):
        raise cut_short(path)
    held = _found(_COLUMNS, start)
    if held and held != kind_of(path):
        raise UserError(f"{spelled(path)}: holds another kind: rename it to end in {held}")
    if start.lstrip()[:1] in {b"{", b"["} or _found(_PACKED, start):
        raise UserError(
            f"{spelled(path)}: does not hold columns ({' or '.join(COLUMNS)}): rename it by what "
            "it holds"
        )


def cut_short(path: Path, place: str = "") -> UserError:
    """The error for a file whose end is missing, as of a download that broke off."""
    return UserError(f"{spelled(path)}: {place}the file is cut short: fetch it again")


def require_no_pointer(path: Path, start: bytes) -> None:
    """Refuse what a Git checkout without its large files leaves in their place."""
    if _POINTER.match(start):
        raise UserError(
            f"{spelled(path)}: is a Git LFS pointer, not the file: fetch it (git lfs pull)"
        )


def _found(signatures: dict[str, bytes], start: bytes) -> str:
    return next((kind for kind, sign in signatures.items() if re.match(sign, start)), "")
