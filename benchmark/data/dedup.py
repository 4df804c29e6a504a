"""Exact duplicates among token rows: a vectorised hash to find them, a comparison to be sure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.integer[Any]]
Hashes = npt.NDArray[np.uint64]

BLOCK_BYTES = 1 << 24


@lru_cache(maxsize=8)
def _multipliers(width: int) -> Hashes:
    """Fixed odd random 64-bit numbers, one a column."""
    draws = np.random.Generator(np.random.Philox(key=width))
    return draws.integers(0, 2**64, size=width, dtype=np.uint64) | np.uint64(1)


def row_hashes(tokens: Integers) -> Hashes:
    """A 64-bit hash of each row of ``tokens [n, width]``; equal rows have equal hashes."""
    return np.asarray(tokens, dtype=np.uint64) @ _multipliers(tokens.shape[1])


def blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Consecutive slices of rows, small enough for a few 64-bit copies in memory."""
    size = max(1, BLOCK_BYTES // (8 * width))
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


class RowSet:
    """A set of rows, each with the label it was first added under; its size is its memory."""

    def __init__(self) -> None:
        self._labels: dict[bytes, str] = {}
        self._hashes: Hashes | None = None

    def __len__(self) -> int:
        return len(self._labels)

    def add(self, row: Integers, label: str) -> str | None:
        """Add one row; if it is there already, change nothing and return its label."""
        key = _key(row)
        known = self._labels.get(key)
        if known is None:
            self._labels[key] = label
            self._hashes = None
        return known

    def labels(self, tokens: Integers) -> dict[int, str]:
        """Labels of the rows of ``tokens [n, width]`` that are in the set, by their position."""
        if not self._labels:
            return {}
        if self._hashes is None:
            rows = np.stack([np.frombuffer(key, dtype=np.uint32) for key in self._labels])
            self._hashes = np.sort(row_hashes(rows))
        hashes = row_hashes(tokens)
        nearest = np.searchsorted(self._hashes, hashes).clip(max=len(self._hashes) - 1)
        candidates = np.flatnonzero(self._hashes[nearest] == hashes)
        found = ((int(i), self._labels.get(_key(tokens[i]))) for i in candidates)
        return {i: label for i, label in found if label is not None}


def _key(row: Integers) -> bytes:
    """The row's tokens, whatever type the store keeps them in."""
    return np.asarray(row, dtype=np.uint32).tobytes()
