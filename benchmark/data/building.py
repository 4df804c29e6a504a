"""Building the rows of a source, piece by piece, several at a time.

A source of one piece is written at once. Of others each piece has a folder of its own in the
cache until all are joined, so that meanwhile they take twice the room on the disk; those of
embedded corpora stay, since mixtures that differ in one part have all the others in common.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmark.core.processes import map_in_processes
from benchmark.data.config import DataConfig
from benchmark.data.obituary import obituary
from benchmark.data.pieces import Piece, pieces_of
from benchmark.data.source import AnySource
from benchmark.data.storage import build_folder
from benchmark.data.task_rows import Encoder, rows_of
from benchmark.data.text import Tally
from benchmark.data.writing import Heard, Written, join_rows, note, smallest, write_rows

Progress = Callable[[str, int, int | None], None]
"""Called with what is being built, the rows written so far and about how many it will be, which
nobody knows (None) before a piece is done.
"""

HEADER_BYTES = 128
"""Of a file of an array."""


@dataclass(frozen=True)
class Building:
    """What is asked for: the rows of ``source`` under ``settings``, ``jobs`` pieces at a time."""

    source: AnySource
    settings: DataConfig
    cache: Path
    jobs: int

    def write(
        self, folder: Path, hear: Callable[[int, int | None], None]
    ) -> tuple[Written, Tally, Encoder]:
        """Write the arrays into ``folder``: what they hold, what was not used, what made rows.

        ``hear(rows, of)`` hears of rows.

        Raises:
            UserError: as of `benchmark.data.rows.build_rows`.
        """
        rows, tally = rows_of(self.settings.task), Tally()
        encoder = rows.encoder(self.settings, tally)
        pieces = pieces_of(self.source, self.cache, rows.readers)
        if len(pieces) == 1:
            written = self._write(folder, pieces[0], encoder, tally, lambda done: hear(done, None))
            return written, tally, encoder
        places = [self._place(piece) for piece in pieces]

        def look() -> None:
            hear(*_progress(pieces, places, encoder))

        build = partial(self.build_piece, hear=lambda _: look() if self.jobs == 1 else None)
        work = self.build_piece if self.jobs > 1 else build
        for _ in map_in_processes(work, zip(pieces, places, strict=True), self.jobs, look):
            look()
        written = join_rows(folder, places, encoder, tally)
        for piece, place in zip(pieces, places, strict=True):
            if piece.lasts:
                continue
            shutil.rmtree(place, ignore_errors=True)
            place.with_name(f"{place.name}.lock").unlink(missing_ok=True)
        return written, tally, encoder

    def build_piece(self, item: tuple[Piece, Path], hear: Heard = lambda _: None) -> None:
        """Write the arrays of a piece into its folder, unless they are there."""
        piece, place = item

        def build(folder: Path) -> None:
            tally = Tally()
            encoder = rows_of(self.settings.task).encoder(self.settings, tally)
            note(folder, self._write(folder, piece, encoder, tally, hear), tally)

        build_folder(place, build)

    def _write(
        self, folder: Path, piece: Piece, encoder: Encoder, tally: Tally, hear: Heard
    ) -> Written:
        readers = rows_of(self.settings.task).readers
        documents = piece.documents(self.cache, self.settings.whitespace, tally, readers)
        with obituary():
            return write_rows(folder, documents, encoder, tally, hear)

    def _place(self, piece: Piece) -> Path:
        """Where a piece is built: found again after a kill, unless what decides it has changed."""
        identity = rows_of(self.settings.task).identity(self.settings, self.cache)
        text = json.dumps([piece.key, identity], sort_keys=True)
        return self.cache / "pieces" / hashlib.sha256(text.encode()).hexdigest()[:24]


def _progress(pieces: list[Piece], places: list[Path], encoder: Encoder) -> tuple[int, int | None]:
    """Rows written so far and, if pieces are done and the sizes of all are known, of about all."""
    width = encoder.width * np.dtype(smallest(encoder.largest)).itemsize
    rows = done_rows = done = 0
    for piece, place in zip(pieces, places, strict=True):
        whole, partly = (
            folder / "tokens.npy" for folder in (place, place.with_name(f"{place.name}.partial"))
        )
        if whole.exists():
            done_rows += _rows_in(whole, width)
            done += piece.size
        elif partly.exists():
            rows += _rows_in(partly, width)
    known = done and all(piece.size for piece in pieces)
    everything = sum(piece.size for piece in pieces)
    return rows + done_rows, round(done_rows * everything / done) if known else None


def _rows_in(file: Path, width: int) -> int:
    """Rows of so many bytes in an array's file, which may be half written."""
    return max(0, file.stat().st_size - HEADER_BYTES) // width
