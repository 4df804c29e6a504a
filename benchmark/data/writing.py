"""The arrays of token rows: written from documents, and several joined to one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmark.core.errors import UserError
from benchmark.data.encoding import document_batches
from benchmark.data.storage import ArrayWriter, open_array
from benchmark.data.task_rows import Encoder
from benchmark.data.text import Document, Tally

ARRAYS = ("tokens", "domains", "documents", "sections")
ROWS_A_SECTION = 64
"""Longer documents are cut into sections of so many rows; splits never divide a section."""

MOST_DOMAINS = 1 << 16
ROWS_A_BLOCK = 1 << 14
CELLS_TOGETHER = 1 << 20
NOTED = "piece.json"

Heard = Callable[[int], None]
"""Called with the number of rows written so far."""


class Written(NamedTuple):
    """What arrays of rows hold; ``hashes`` are those of the arrays."""

    n_rows: int
    n_documents: int
    n_sections: int
    n_tokens: int
    domains: list[str]
    hashes: list[str]


def write_rows(
    folder: Path, documents: Iterable[Document], encoder: Encoder, tally: Tally, hear: Heard
) -> Written:
    """The rows of ``documents`` in order; ``hear(rows)`` hears of them."""
    domains: dict[str, int] = {}
    n_documents = n_sections = n_tokens = 0
    with _writers(folder, encoder) as out:
        blocks = _Blocks(out)
        for batch in document_batches(documents):
            for document, found in encoder.rows(batch):
                n = 0
                for rows in found:
                    domain = _domain_index(domains, document.domain)
                    n_tokens += int(np.count_nonzero(rows))
                    blocks.add(rows, (domain, n_documents, n_sections, n))
                    n += len(rows)
                if encoder.too_short:
                    tally.count(f"{encoder.too_short} left out", n == 0)
                n_documents += n > 0
                n_sections += -(-n // ROWS_A_SECTION)
            blocks.write()
            hear(out["tokens"].n_rows)
    return _written(out, n_documents, n_sections, n_tokens, domains)


class _Blocks:
    """Blocks of rows that are written together: one by one, most of the time goes into calls."""

    def __init__(self, out: dict[str, ArrayWriter]) -> None:
        self._out = out
        self._rows: list[npt.NDArray[Any]] = []
        self._marks: list[tuple[int, ...]] = []
        self._cells = 0

    def add(self, rows: npt.NDArray[Any], marks: tuple[int, int, int, int]) -> None:
        """``marks``: of the rows the domain, the document and its first section, and how many of
        the document's come before.
        """
        self._rows.append(rows)
        self._marks.append((len(rows), *marks))
        self._cells += rows.size
        if self._cells >= CELLS_TOGETHER:
            self.write()

    def write(self) -> None:
        """Write what has been added."""
        if not self._rows:
            return
        marks = np.array(self._marks, np.int64)
        counts = marks[:, 0]
        domains, documents, sections, before = marks[:, 1:].repeat(counts, axis=0).T
        first = (counts.cumsum() - counts).repeat(counts)
        places = before + np.arange(len(first)) - first
        self._out["tokens"].append(np.concatenate(self._rows))
        self._out["domains"].append(domains)
        self._out["documents"].append(documents)
        self._out["sections"].append(sections + places // ROWS_A_SECTION)
        self._rows, self._marks, self._cells = [], [], 0


def join_rows(folder: Path, parts: Sequence[Path], encoder: Encoder, tally: Tally) -> Written:
    """The rows of folders that :func:`note` was told of, one after the other.

    The arrays are those of :func:`write_rows` of all documents; ``tally`` hears what it had heard.
    """
    domains: dict[str, int] = {}
    n_documents = n_sections = n_tokens = 0
    with _writers(folder, encoder) as out:
        for part in parts:
            found, heard = noted(part)
            tally.add(heard)
            numbers = np.array([_domain_index(domains, name) for name in found.domains], np.int64)
            for block in _blocks(part, found.n_rows):
                out["tokens"].append(block["tokens"])
                out["domains"].append(numbers[block["domains"]])
                out["documents"].append(n_documents + block["documents"])
                out["sections"].append(n_sections + block["sections"])
            n_documents += found.n_documents
            n_sections += found.n_sections
            n_tokens += found.n_tokens
    return _written(out, n_documents, n_sections, n_tokens, domains)


def note(folder: Path, written: Written, tally: Tally) -> None:
    """Note beside arrays what they hold."""
    content = {"written": written._asdict(), "tally": tally.as_json()}
    (folder / NOTED).write_text(json.dumps(content) + "\n", encoding="utf-8")


def noted(folder: Path) -> tuple[Written, Tally]:
    """What :func:`note` was told."""
    content = json.loads((folder / NOTED).read_text(encoding="utf-8"))
    return Written(**content["written"]), Tally.from_json(content["tally"])


@contextmanager
def _writers(folder: Path, encoder: Encoder) -> Iterator[dict[str, ArrayWriter]]:
    kinds: tuple[npt.DTypeLike, ...] = (smallest(encoder.largest), np.uint16, np.int64, np.int64)
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                ArrayWriter(
                    folder / f"{name}.npy", kind, (encoder.width,) if name == "tokens" else ()
                )
            )
            for name, kind in zip(ARRAYS, kinds, strict=True)
        }


def _written(
    out: dict[str, ArrayWriter],
    n_documents: int,
    n_sections: int,
    n_tokens: int,
    domains: dict[str, int],
) -> Written:
    hashes = [out[name].sha256 for name in ARRAYS]
    n_rows = out["tokens"].n_rows
    return Written(n_rows, n_documents, n_sections, n_tokens, list(domains), hashes)


def _blocks(folder: Path, n_rows: int) -> Iterator[dict[str, Any]]:
    if not n_rows:  # an empty file cannot be mapped
        return
    arrays = {name: open_array(folder / f"{name}.npy") for name in ARRAYS}
    for start in range(0, n_rows, ROWS_A_BLOCK):
        yield {name: array[start : start + ROWS_A_BLOCK] for name, array in arrays.items()}


def _domain_index(domains: dict[str, int], name: str) -> int:
    index = domains.setdefault(name, len(domains))
    if index >= MOST_DOMAINS:
        raise UserError(
            f"domain_field: more than {MOST_DOMAINS} provenance domains, the last {name[:40]!r}; "
            f"choose a coarser field or name whole folders"
        )
    return index


def smallest(largest: int) -> type[np.unsignedinteger[Any]]:
    """The narrowest type that holds every cell."""
    if largest < 1 << 8:
        return np.uint8
    return np.uint16 if largest < 1 << 16 else np.uint32
