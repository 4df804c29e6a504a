"""Files that are whole or absent, on a network file system too: written aside, then renamed.

Nothing here relies on file locks: a rename and a hard link are atomic everywhere.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from benchmark.core.errors import UserError


@contextmanager
def replaced(file: Path) -> Iterator[Path]:
    """A file to write that becomes ``file`` in one step; on any failure the old file stays.

    Raises:
        UserError: the folder cannot be written or its disk is full.
    """
    with _aside(file) as temporary:
        yield temporary
        flush(temporary)
        temporary.replace(file)


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """A stream whose content becomes ``file`` in one step.

    Raises:
        UserError: as of :func:`replaced`.
    """
    with replaced(file) as temporary, temporary.open("wb") as stream:
        yield stream


def write_atomically(file: Path, text: str) -> None:
    """Replace ``file`` by ``text``.

    Raises:
        UserError: as of :func:`replaced`.
    """
    with replaced(file) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_once(file: Path, text: str) -> bool:
    """Create ``file`` with ``text``; False, and nothing changed, if somebody already has.

    Of any number of processes on any number of machines, one is told True.

    Raises:
        UserError: as of :func:`replaced`.
    """
    with _aside(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
        try:
            os.link(temporary, file)
        except FileExistsError:
            # Over a network, the answer to a link that was made may be lost and asked for again.
            return temporary.stat().st_nlink == 2
    return True


def flush(path: Path) -> None:
    """Force one file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _aside(file: Path) -> Iterator[Path]:
    """A new file beside ``file`` that is gone at the end."""
    temporary = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o644)
        yield temporary
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
