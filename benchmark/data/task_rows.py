"""How a task reads its sources and makes rows: what of a task the data layer knows.

A row is a vector of cells, of one width for all rows. The sign of a cell says what it is for:
above 0, the model is to predict it and its loss counts; below 0, it is given; 0 is nothing. Stores
hold cells without signs and the number of leading columns that are ``given``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from benchmark.core.tasks import find_task
from benchmark.data.text import Document, Tally

if TYPE_CHECKING:
    from benchmark.data.config import DataConfig
    from benchmark.data.listing import LocalFile
    from benchmark.data.source import FilesSource, HubSource

Integers = npt.NDArray[np.integer[Any]]
Reader = Callable[[Path], Iterator[Document]]
Column = Callable[[int], Integers]
"""A split's cells without signs at one place of every row."""


@dataclass(frozen=True)
class Readers:
    """How a task reads each kind of source; ``embedded`` by the reader that the catalogue names.

    ``files_fingerprint(paths, cache)`` changes whenever the documents of files may, and
    ``files_notes(paths)`` says which of them are not read.
    """

    embedded: Mapping[str, Reader]
    files: Callable[[FilesSource, Tally], Iterator[Document]]
    files_fingerprint: Callable[[tuple[Path, ...], Path], str]
    files_notes: Callable[[tuple[Path, ...]], tuple[str, ...]]
    hub: Callable[[HubSource, Tally], Iterator[Document]]
    listed: Callable[[Sequence[LocalFile], FilesSource, Tally], Iterator[Document]] | None = None
    """Some of the files of a source alone; None: they are only read together."""
    noise: Callable[[int, int], Iterator[Document]] | None = None
    """Made-up documents, of their number and a seed; None: the task has none."""


class Encoder(Protocol):
    """Documents to rows of one layout."""

    @property
    def name(self) -> str:
        """What made cells of documents: ``bytes``, a tokeniser, or ``pixels``."""

    @property
    def vocabulary_size(self) -> int:
        """Number of different cells that are predicted, 0 included."""

    @property
    def largest(self) -> int:
        """The largest cell, whatever its sign."""

    @property
    def width(self) -> int:
        """Cells of a row."""

    @property
    def given(self) -> int:
        """How many of them, from the left, are given."""

    @property
    def too_short(self) -> str:
        """What the tally counts documents without a row as; empty: `rows` counts them itself."""

    @property
    def nothing(self) -> str:
        """What is wrong with a source none of whose documents gives a row, and what to do."""

    def rows(self, batch: list[Document]) -> Iterator[tuple[Document, Iterable[Integers]]]:
        """Each document with its rows ``[k, width]`` without signs, in blocks."""


class TaskRows(Protocol):
    """What of a task is about rows."""

    @property
    def readers(self) -> Readers:
        """How its sources are read."""

    def identity(self, data: DataConfig, cache: Path) -> dict[str, Any]:
        """All but the source that decides its rows, for the name of their store."""

    def encoder(self, data: DataConfig, tally: Tally) -> Encoder:
        """What makes rows; ``tally`` hears of documents that it leaves out."""

    def notes(self, data: DataConfig, splits: Mapping[str, Column]) -> tuple[str, ...]:
        """What to know of the rows of splits, by their names: a line each."""

    def shown(self, data: DataConfig) -> Callable[[Integers], str]:
        """What writes a row, with signs or without, as a line for people."""


def rows_of(task: str) -> TaskRows:
    """The rows of the task of that name."""
    found: TaskRows = find_task(task).rows
    return found
