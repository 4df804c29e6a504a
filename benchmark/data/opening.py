"""Opening a user's file: compression, byte-order marks, and failures in one line."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from benchmark.core.errors import UserError
from benchmark.core.spelling import spelled
from benchmark.data.signatures import LONGEST_SIGNATURE, compression_of, cut_short

BLOCK_BYTES = 1 << 16
_LOOKED_AT = 1024
_DAMAGED = (zlib.error, lzma.LZMAError)
_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn failures to read ``path`` into a `UserError` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"files: {spelled(path)}: no such file or folder") from None
    except EOFError as error:
        raise cut_short(path) from error
    except (OSError, *_DAMAGED) as error:
        if "Truncated" in str(error):
            raise cut_short(path) from error
        reason = getattr(error, "strerror", None) or one_line(error)
        raise UserError(f"{spelled(path)}: cannot be read: {reason}") from error


def one_line(error: BaseException) -> str:
    """What an exception says, on one line of bounded length."""
    said = " ".join(str(error).split())
    return (said[:300] + "...") if len(said) > 300 else said or type(error).__name__


@contextmanager
def open_text(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes: decompressed, in UTF-8 if a byte-order mark says otherwise, no mark.

    The handle has a method ``peek``.
    """
    with _opened(path) as raw:
        # GzipFile and its like peek as a BufferedReader does; that is all that is asked here.
        handle: Any = raw if hasattr(raw, "peek") else io.BufferedReader(raw, BLOCK_BYTES)
        start = handle.peek(BLOCK_BYTES)[:BLOCK_BYTES]
        encoding = next((name for mark, name in _MARKS if start.startswith(mark)), None)
        if encoding == "utf-8":
            handle.read(len(codecs.BOM_UTF8))
        elif encoding is not None:
            handle = io.BufferedReader(_Recoded(handle, encoding, path), BLOCK_BYTES)
        elif start[:_LOOKED_AT].count(0) > len(start[:_LOOKED_AT]) // 4:
            raise UserError(
                f"{spelled(path)}: looks like UTF-16 or UTF-32 without a byte-order mark: convert "
                "the file to UTF-8"
            )
        elif b"\r" in start and b"\n" not in start:
            handle = io.BufferedReader(_NewLines(handle), BLOCK_BYTES)
        yield handle


class _NewLines(io.RawIOBase):
    """A stream whose lines end in a carriage return alone, as on old Macs, ending in a newline."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self._source.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(block)] = block
        return len(block)


class _Recoded(io.RawIOBase):
    """A stream in another encoding as a stream in UTF-8."""

    def __init__(self, source: BinaryIO, encoding: str, path: Path) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._encoding = encoding
        self._path = path
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            block = self._source.read(BLOCK_BYTES)
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{spelled(self._path)}: the byte-order mark says {self._encoding.upper()}, "
                    f"but the bytes are not ({error.reason}); convert the file to UTF-8"
                ) from None
            self._ready = text.encode("utf-8", "surrogatepass")
            if not block:
                break
        n = min(len(buffer), len(self._ready))
        buffer[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n


def _opened(path: Path) -> Any:
    with path.open("rb") as plain:
        start = plain.read(LONGEST_SIGNATURE)
    match compression_of(path, start):
        case ".gz":
            return gzip.open(path, "rb")
        case ".bz2":
            return bz2.open(path, "rb")
        case ".xz":
            return lzma.open(path, "rb")
        case ".zst":
            import pyarrow

            return pyarrow.CompressedInputStream(path.open("rb"), "zstd")
        case _:
            return path.open("rb")
