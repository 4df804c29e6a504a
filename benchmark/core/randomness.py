"""Counter-based randomness: any step of any run can be recomputed from its seed alone."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def derived_key(*parts: int | str) -> int:
    """A 63-bit key that is a fixed function of ``parts``."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(*parts: int | str) -> np.random.Generator:
    """A Philox generator that depends on ``parts`` (seed, step, purpose ...) and nothing else."""
    return np.random.Generator(np.random.Philox(key=derived_key(*parts)))


class EpochOrder:
    """An endless order of ``size`` items, each epoch a fresh permutation, in constant memory.

    The permutation is an eight-round Feistel network on the smallest square power of two that
    holds ``size``, walked until it falls inside: position to item in O(1), nothing stored.
    """

    def __init__(self, size: int, *key: int | str) -> None:
        if size < 1:
            raise ValueError("an order needs at least one item")
        self.size = size
        self.key = key
        self._half_bits = max(1, ((size - 1).bit_length() + 1) // 2)

    def items(self, start: int, count: int) -> np.ndarray:
        """Items at positions ``start .. start + count - 1``: int64 ``[count]``."""
        return self.look_up(np.arange(start, start + count, dtype=np.int64))

    def look_up(self, positions: np.ndarray) -> np.ndarray:
        """Items at the given positions: int64 ``[k] -> [k]``."""
        epochs = positions // self.size
        items = np.empty(len(positions), dtype=np.int64)
        for epoch in np.unique(epochs):
            mine = epochs == epoch
            items[mine] = self._permute(positions[mine] % self.size, int(epoch))
        return items

    def _permute(self, positions: np.ndarray, epoch: int) -> np.ndarray:
        rounds = generator(*self.key, epoch).integers(0, 2**63, size=8, dtype=np.uint64)
        items = self._feistel(positions.astype(np.uint64), rounds)
        while (outside := items >= self.size).any():
            items[outside] = self._feistel(items[outside], rounds)
        return items.astype(np.int64)

    def _feistel(self, items: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        bits = np.uint64(self._half_bits)
        mask = np.uint64((1 << self._half_bits) - 1)
        left, right = items >> bits, items & mask
        for round_key in rounds:
            left, right = right, left ^ (mix(right ^ round_key) & mask)
        return (left << bits) | right


class BlockOrder:
    """An endless order of ``size`` items in blocks of ``block``, read whole or at their fronts.

    Who reads whole blocks meets each item once in each epoch of ``size`` places. Who reads the
    first ``front`` places of each block meets each item once before any twice, too: over a round
    of ``block / front`` epochs, rounded up. In a round's first epoch the order is that of
    :class:`EpochOrder`; after it, fronts hold the items that the round's fronts have not held yet,
    and the other places the rest, in an order drawn for each epoch. Where ``front`` does not
    divide ``size`` and ``block``, the last fronts of a round hold some of its items again.
    """

    def __init__(self, size: int, block: int, front: int, *key: int | str) -> None:
        self.size, self.block, self.front, self.key = size, block, front, key
        self._round = -(-block // front)
        self._order = EpochOrder(size, *key)

    def items(self, start: int, count: int) -> np.ndarray:
        """Items at places ``start .. start + count - 1``: int64 ``[count]``."""
        places = np.arange(start, start + count, dtype=np.int64)
        epochs = places // self.size
        parts = [self._in_epoch(places[epochs == epoch], int(epoch)) for epoch in np.unique(epochs)]
        return np.concatenate(parts)

    def _in_epoch(self, places: np.ndarray, epoch: int) -> np.ndarray:
        first = epoch - epoch % self._round
        if epoch == first:
            return self._order.look_up(places)
        start, fronts = epoch * self.size, self._fronts_below
        in_front = places % self.block < self.front
        ranks = fronts(places) - fronts(first * self.size)
        held = fronts(start + self.size) - fronts(start)
        if not in_front.all():
            others = places[~in_front]
            order = EpochOrder(int(self.size - held), *self.key, "others", epoch)
            among = order.look_up(others - start - (fronts(others) - fronts(start)))
            ranks[~in_front] = fronts(start + self.size) - fronts(first * self.size) + among
        return self._order.look_up(self._ranked(ranks % self.size, first))

    def _ranked(self, ranks: np.ndarray, epoch: int) -> np.ndarray:
        """Places of an epoch in the order of its fronts and then its other places."""
        start, fronts = epoch * self.size, self._fronts_below
        held = fronts(start + self.size) - fronts(start)
        front = fronts(start) + ranks
        other = start - fronts(start) + ranks - held
        others = self.block - self.front
        in_fronts = front // self.front * self.block + front % self.front
        elsewhere = other // others * self.block + self.front + other % others
        return np.asarray(np.where(ranks < held, in_fronts, elsewhere))

    def _fronts_below(self, place: Any) -> Any:
        """How many places below ``place`` are at the front of a block."""
        return place // self.block * self.front + np.minimum(place % self.block, self.front)


def splitmix64(numbers: ArrayLike) -> NDArray[np.uint64]:
    """A fixed one-to-one shuffle of 64-bit numbers: the first output of splitmix64 for each seed.

    Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014.
    """
    return mix(np.asarray(numbers).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))


def mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64, itself one-to-one: each bit depends on all bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
