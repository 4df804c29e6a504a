"""N-grams of token rows: hashed counts, and a model of the next token to stand in for training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark.core.randomness import mix, splitmix64

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Rows = NDArray[np.integer]
Keys = NDArray[np.uint64]
Array = NDArray[np.float64]
BUCKETS = 2**16
ORDER = 5


def hashed_counts(rows: Rows, orders: tuple[int, int], buckets: int = BUCKETS) -> csr_matrix:
    """Counts of n-grams from the shortest to the longest order: ``[n, T] -> [n, buckets]``.

    What holds padding (token 0) is not counted; given cells (below 0) count as they are read.
    """
    from scipy.sparse import csr_matrix

    cells = np.abs(rows)
    places, numbers = [], []
    for order in range(orders[0], orders[1] + 1):
        windows = np.lib.stride_tricks.sliding_window_view(cells, order, axis=1)
        row, at = np.nonzero((windows > 0).all(axis=2))
        keys = _keys(windows[row, at])
        places.append(row)
        numbers.append((keys % np.uint64(buckets)).astype(np.int64))
    where, which = np.concatenate(places), np.concatenate(numbers)
    shape = (len(rows), buckets)
    return csr_matrix((np.ones(len(where)), (where, which)), shape=shape)


@dataclass(frozen=True)
class _Order:
    """Counts at one length of context: of each n-gram, of each context, and of its followers."""

    grams: Keys
    counts: Array
    contexts: Keys
    totals: Array
    followers: Array

    @classmethod
    def of(cls, contexts: Keys, grams: Keys) -> _Order:
        unique, first, counts = np.unique(grams, return_index=True, return_counts=True)
        names, totals = np.unique(contexts, return_counts=True)
        _, followers = np.unique(contexts[first], return_counts=True)
        numbers = (each.astype(float) for each in (counts, totals, followers))
        counts_, totals_, followers_ = numbers
        return cls(unique, counts_, names, totals_, followers_)

    def sharpen(self, chance: Array, contexts: Keys, grams: Keys) -> Array:
        """Witten and Bell: what was seen here, and the shorter context's chance for the rest."""
        count = _found(self.grams, grams, self.counts)
        total = _found(self.contexts, contexts, self.totals)
        kinds = _found(self.contexts, contexts, self.followers)
        known = total > 0
        mass = np.where(known, total + kinds, 1.0)
        return np.where(known, (count + kinds * chance) / mass, chance)


class NgramModel:
    """The chance of a token after up to `ORDER` - 1 others, interpolated over all lengths.

    Witten and Bell (1991), down to a uniform chance over ``vocabulary`` tokens. Rows are ``[n, T]``
    of at least one token each; contexts do not reach over the beginning of a row.
    """

    def __init__(self, rows: Rows, vocabulary: int) -> None:
        self._vocabulary = vocabulary
        self._orders = [_Order.of(*keys) for keys in _with_contexts(np.abs(rows))]

    def loss(self, rows: Rows) -> float:
        """Mean loss of a token of these rows, in nats."""
        cells = np.abs(rows)
        chance: Array = np.full(int((cells > 0).sum()), 1.0 / self._vocabulary)
        for order, (contexts, grams) in zip(self._orders, _with_contexts(cells), strict=True):
            chance = order.sharpen(chance, contexts, grams)
        return float(-np.log(chance).mean())


def _with_contexts(cells: Rows) -> list[tuple[Keys, Keys]]:
    """For each length of context from 0, keys of contexts and n-grams of every token: ``[m]``."""
    row, at = np.nonzero(cells > 0)
    padded = np.pad(cells, ((0, 0), (ORDER - 1, 0)))
    found = []
    for length in range(ORDER):
        start = at + ORDER - 1 - length
        windows = np.stack([padded[row, start + i] for i in range(length + 1)], axis=1)
        found.append((_keys(windows[:, :-1]), _keys(windows)))
    return found


def _keys(windows: Rows) -> Keys:
    """A 64-bit number for each sequence ``[m, k]``; the same for the same."""
    key = splitmix64(np.full(len(windows), windows.shape[1]))
    for column in windows.T:
        key = mix(key ^ splitmix64(column))
    return key


def _found(names: Keys, asked: Keys, values: Array) -> Array:
    """The value of each name that is asked for, 0 where it is not among ``names`` (sorted)."""
    place = np.searchsorted(names, asked)
    place[place == len(names)] = 0
    return np.where(names[place] == asked, values[place], 0.0)
