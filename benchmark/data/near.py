"""Near-duplicates: MinHash signatures of token 5-grams, kept of held-out rows, sought in others.

Two texts are near-duplicates if the estimated Jaccard similarity of their sets of 5-grams reaches
`THRESHOLD` (Broder 1997; the signatures are those of the library ``rensa``). Compared are rows with
rows, and documents with documents, in sections as the rows have them: a copy that is shifted
against the rows is found by its document, a repeated passage by its row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from benchmark.core.randomness import splitmix64
from benchmark.data.dedup import row_hashes
from benchmark.data.rows import RowStore

NEAR_VERSION = 1
"""To be raised with whatever changes which rows are found, a new `rensa` among it."""

THRESHOLD = 0.8
GRAM = 5
HASHES = 128
BAND = 4
"""Signatures at the threshold differ in 25 hashes at most, so that one of the 32 bands is equal:
looking bands up misses none."""

SEED = 0
NOTHING = -1

Kind = Literal["row", "document"]
Integers = npt.NDArray[np.integer[Any]]
Signatures = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Held:
    """Rows of one split that nothing trained on may resemble."""

    split: str
    store: RowStore
    positions: Integers


@dataclass(frozen=True)
class Match:
    """The held-out text that a row is near to: its split, and where its rows begin in the store.

    ``kind``: whether the row itself is near or its document; ``similarity`` is estimated.
    """

    split: str
    position: int
    kind: Kind
    similarity: float


class HeldOut:
    """Signatures of all held-out rows and of their documents: all the memory that is needed."""

    def __init__(self, held: list[Held]) -> None:
        self._rows = _Index([_rows_of(part) for part in held], held, "row")
        self._documents = _Index([_documents_of(part) for part in held], held, "document")

    def matches(self, tokens: Integers, sections: Integers) -> dict[int, Match]:
        """Rows of ``tokens [n, width]`` to leave out of training, and what each is near to.

        ``sections [n]`` are those of the store; they have to be whole.
        """
        starts = _starts(sections)
        of_rows = self._rows.near(signatures(tokens, np.arange(len(tokens))))
        of_documents = self._documents.near(signatures(tokens, sections))
        found: dict[int, Match] = {}
        for section, match in of_documents.items():
            end = starts[section + 1] if section + 1 < len(starts) else len(tokens)
            found |= dict.fromkeys(range(starts[section], end), match)
        return found | of_rows


def signatures(tokens: Integers, groups: Integers) -> Signatures:
    """MinHash signatures ``[k, HASHES]`` of the k runs of equal ``groups [n]``.

    ``tokens [n, width]`` are the rows of the texts, padded with 0. A text of fewer tokens than a
    5-gram has is one 5-gram with the padding.
    """
    used = tokens > 0
    lengths = np.add.reduceat(used.sum(axis=1), _starts(groups))
    ends = np.cumsum(lengths)
    flat = np.append(tokens[used], np.zeros(GRAM - 1, dtype=tokens.dtype)).astype(np.uint64)
    to_end = np.repeat(ends, lengths) - np.arange(ends[-1])
    hashes = np.zeros(ends[-1], dtype=np.uint64)
    for i in range(GRAM):
        token = np.where(to_end > i, flat[i : i + ends[-1]], 0)
        hashes = splitmix64(hashes ^ token)
    whole = to_end >= np.repeat(np.minimum(lengths, GRAM), lengths)
    counts = np.maximum(lengths - GRAM + 1, 1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
    digests = RMinHash.digest_matrix_from_flat_token_hashes(hashes[whole], offsets, HASHES, SEED)
    return np.asarray(digests.to_rows(), dtype=np.uint32)


class _Index:
    """Signatures of held-out texts, to be found by any band that they share with another."""

    def __init__(
        self, texts: list[tuple[Integers, Signatures]], held: list[Held], kind: Kind
    ) -> None:
        self._kind = kind
        self._splits = [part.split for part, (at, _) in zip(held, texts, strict=True) for _ in at]
        self._positions = np.concatenate([at for at, _ in texts])
        self._signatures = np.concatenate([signature for _, signature in texts])
        keys = _band_keys(self._signatures).ravel()
        order = np.argsort(keys, kind="stable")
        self._keys, self._owners = keys[order], order // (HASHES // BAND)

    def near(self, queries: Signatures) -> dict[int, Match]:
        """The queries that are near to a held-out text, by their position."""
        owners = np.full(len(queries), NOTHING)
        keys = _band_keys(queries)
        for band in range(keys.shape[1]):
            rows = np.flatnonzero(owners == NOTHING)
            asked = keys[rows, band]
            at = np.searchsorted(self._keys, asked, "left")
            self._seek(queries, rows, at, np.searchsorted(self._keys, asked, "right"), owners)
        return {
            int(i): Match(
                split=self._splits[owners[i]],
                position=int(self._positions[owners[i]]),
                kind=self._kind,
                similarity=float(self._similarity(queries[i], owners[i])),
            )
            for i in np.flatnonzero(owners != NOTHING)
        }

    def _seek(
        self, queries: Signatures, rows: Integers, at: Integers, end: Integers, owners: Integers
    ) -> None:
        """Compare queries with those that share the band, one after the other, until one is near.

        One at a time for all queries at once, so that memory does not depend on how many share it.
        """
        open_ = at < end
        while open_.any():
            rows, at, end = rows[open_], at[open_], end[open_]
            candidates = self._owners[at]
            near = self._similarity(queries[rows], candidates) >= THRESHOLD
            owners[rows[near]] = candidates[near]
            at = at + 1
            open_ = ~near & (at < end)

    def _similarity(self, queries: Signatures, owners: Integers) -> npt.NDArray[np.float64]:
        return np.asarray((queries == self._signatures[owners]).mean(axis=-1))


def _rows_of(held: Held) -> tuple[Integers, Signatures]:
    """Place and signature of each held-out row."""
    tokens = held.store.tokens[held.positions]
    return held.positions, signatures(tokens, np.arange(len(tokens)))


def _documents_of(held: Held) -> tuple[Integers, Signatures]:
    """Place of the first row, and signature, of each section that rows are held out of."""
    sections = held.store.sections
    numbers = np.unique(sections[held.positions])
    starts, ends = (np.searchsorted(sections, numbers, side) for side in ("left", "right"))
    found = [
        signatures(held.store.tokens[start:end], np.zeros(end - start, dtype=np.int64))
        for start, end in zip(starts, ends, strict=True)
    ]
    return starts, np.concatenate(found)


def _starts(groups: Integers) -> Integers:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))


def _band_keys(digests: Signatures) -> Hashes:
    """A hash of each band of each signature: ``[n, HASHES / BAND]``."""
    return row_hashes(digests.reshape(-1, BAND)).reshape(len(digests), -1)
