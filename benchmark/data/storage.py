"""Writing to the cache: atomic folders, one builder at a time, arrays larger than memory."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.core.errors import UserError
from benchmark.core.files import flush

HASH_BLOCK_BYTES = 1 << 16
_UNUSABLE_DISK = {
    errno.ENOSPC: "the disk is full; free space or choose another cache folder",
    errno.EDQUOT: "the disk quota is used up; free space or choose another cache folder",
    errno.EFBIG: "a file would exceed the file size limit; raise it or choose another cache folder",
    errno.EACCES: "no permission to write; choose another cache folder",
    errno.EPERM: "no permission to write; choose another cache folder",
    errno.EROFS: "the file system is read-only; choose another cache folder",
    errno.ENOTDIR: "a part of this path is a file; choose another cache folder",
    errno.EEXIST: "a part of this path is a file; choose another cache folder",
}


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn the disk errors that a user can mend into a `UserError` naming ``folder``."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNUSABLE_DISK:
            raise
        raise UserError(f"{folder}: {_UNUSABLE_DISK[error.errno]} ({error.strerror})") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; released by the system if the process dies."""
    with path.open("wb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build_folder(folder: Path, build: Callable[[Path], None]) -> None:
    """Make ``folder`` appear complete or not at all; keep it if it is already there.

    ``build`` fills a temporary folder beside it, which is flushed and then renamed. What a
    killed builder left behind is removed first. Raises `UserError` if the disk is full.
    """
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            if folder.is_dir():
                return
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                build(partial)
                flush_folder(partial)
                partial.rename(folder)
                flush(folder.parent)
            finally:
                shutil.rmtree(partial, ignore_errors=True)


def flush_folder(folder: Path) -> None:
    """Force the files of a folder, and the folder itself, to the disk."""
    for path in folder.iterdir():
        flush(path)
    flush(folder)


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


class ArrayWriter:
    """Append blocks of rows to a ``.npy`` file; memory does not grow with the file.

    ``row_shape`` is the shape of one row (``()`` for a vector). After ``close``, ``n_rows`` and
    ``sha256`` (of the array's bytes, without the header) are final.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, row_shape: tuple[int, ...] = ()) -> None:
        self.n_rows = 0
        self.sha256 = ""
        self._dtype = np.dtype(dtype)
        self._row_shape = row_shape
        self._digest = hashlib.sha256()
        self._handle = path.open("wb")
        self._write_header()
        self._header_bytes = self._handle.tell()

    def append(self, rows: npt.NDArray[np.generic]) -> None:
        """Add ``rows`` of shape ``[k, *row_shape]``."""
        if rows.shape[1:] != self._row_shape:
            raise ValueError(f"rows of shape {rows.shape[1:]}, expected {self._row_shape}")
        data = np.ascontiguousarray(rows, dtype=self._dtype).tobytes()
        self._handle.write(data)
        self._digest.update(data)
        self.n_rows += len(rows)

    def close(self) -> None:
        """Write the final number of rows into the header."""
        self._handle.seek(0)
        self._write_header()
        # NumPy pads headers so that the first axis can grow; without that, rows would be lost.
        assert self._handle.tell() == self._header_bytes
        self._handle.close()
        self.sha256 = self._digest.hexdigest()

    def _write_header(self) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.n_rows, *self._row_shape),
        }
        np.lib.format.write_array_header_1_0(self._handle, header)

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._handle.close()


def open_array(path: Path) -> npt.NDArray[np.integer[Any]]:
    """Memory-map a ``.npy`` file of integers; a missing or damaged one raises `UserError`."""
    try:
        array: npt.NDArray[np.integer[Any]] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; delete the folder {path.parent} to rebuild it") from None
    except (ValueError, EOFError, OSError) as error:
        raise UserError(
            f"{path}: damaged ({error}); delete the folder {path.parent} to rebuild it"
        ) from None
    if array.dtype.kind not in "ui":
        raise UserError(f"{path}: holds no integers; delete the folder {path.parent} to rebuild it")
    return array
