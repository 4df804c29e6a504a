"""Which rows go into which split, without a text in two of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.core.errors import UserError
from benchmark.core.randomness import splitmix64
from benchmark.data.dedup import RowSet, blocks
from benchmark.data.near import Held, HeldOut
from benchmark.data.report import NearTally
from benchmark.data.rows import RowStore

SPLIT_SEED = 0
TRAIN = "train"
TARGET_SPLITS = ("test", "valid", TRAIN)
"""In the order in which they choose their rows."""

GENERIC_VALID = "generic_valid"
FIRST_CANDIDATES = 4
MOST_CANDIDATES = 256
"""Candidate rows looked at, per row asked for, when setting generic rows aside."""

Integers = npt.NDArray[np.integer[Any]]


@dataclass
class Split:
    """Chosen rows of a store, and repeated rows left out on the way.

    ``repeated`` counts them by the split that holds the row already, ``near`` the rows left out
    because they resemble one.
    """

    positions: list[int] = field(default_factory=list)
    repeated: Counter[str] = field(default_factory=Counter)
    near: NearTally = field(default_factory=NearTally)

    def take(self, store: RowStore, position: int, name: str, seen: RowSet) -> None:
        """Add a row, unless a split has it already."""
        holder = seen.add(store.tokens[position], name)
        if holder is None:
            self.positions.append(position)
        else:
            self.repeated[holder] += 1


def split_target(
    store: RowStore, sizes: dict[str, int], seen: RowSet, without_near: bool
) -> dict[str, Split]:
    """Disjoint splits of whole sections in a fixed shuffled order; test chooses first.

    ``seen`` collects the rows of all splits. ``without_near``: train leaves out what resembles
    rows of test and valid, which are the same in either case. Raises `UserError` if there are too
    few distinct rows, naming the split that is short.
    """
    starts = np.flatnonzero(np.diff(store.sections, prepend=-1))
    ends = np.append(starts[1:], len(store))
    order = np.random.Generator(np.random.Philox(key=SPLIT_SEED)).permutation(len(starts))
    sections = ((int(starts[i]), int(ends[i])) for i in order)
    splits: dict[str, Split] = {}
    for name in TARGET_SPLITS:
        held = held_out(store, splits) if without_near and name == TRAIN else None
        splits[name] = _fill(store, sections, name, sizes[name], seen, held)
        if len(splits[name].positions) < sizes[name]:
            raise _too_few(store, name, sizes, splits[name], len(seen))
    return splits


def held_out(
    store: RowStore, splits: dict[str, Split], aside: tuple[RowStore, Split] | None = None
) -> HeldOut:
    """What training rows may not resemble: the target's test and valid, and rows set ``aside``."""
    held = [
        Held(full_name(name), store, np.asarray(split.positions, dtype=np.int64))
        for name, split in splits.items()
        if name != TRAIN
    ]
    if aside is not None:
        generic, split = aside
        held.append(Held(GENERIC_VALID, generic, np.asarray(split.positions, dtype=np.int64)))
    return HeldOut(held)


def full_name(name: str) -> str:
    """The name that reports use for a split."""
    return name if name == GENERIC_VALID else f"target_{name}"


def _fill(
    store: RowStore,
    sections: Iterator[tuple[int, int]],
    name: str,
    size: int,
    seen: RowSet,
    held: HeldOut | None,
) -> Split:
    """Take sections until there are ``size`` rows; what is left of the last one stays unused."""
    split = Split()
    while len(split.positions) < size:
        section = next(sections, None)
        if section is None:
            break
        rows = slice(*section)
        near = {} if held is None else held.matches(store.tokens[rows], store.sections[rows])
        for i, position in enumerate(range(*section)):
            if i in near:
                split.near.count(position, int(store.domains[position]), near[i])
                continue
            split.take(store, position, name, seen)
            if len(split.positions) == size:
                break
    return split


def _too_few(
    store: RowStore, name: str, sizes: dict[str, int], split: Split, distinct: int
) -> UserError:
    asked = ", ".join(f"{other} {sizes[other]}" for other in TARGET_SPLITS)
    near = sum(split.near.counts.values())
    lost = f", {near} more are near-duplicates of test and valid" if near else ""
    kept = ", or keep them with data.near_duplicates: keep" if near else ""
    return UserError(
        f"target.{name}: {sizes[name]} rows asked, {len(split.positions)} available: source "
        f"{store.meta.source} has {len(store)} rows, {distinct} after removing duplicates{lost} "
        f"(asked: {asked}); lower {name}, valid or test, or give a larger source{kept}"
    )


@dataclass
class SetAside:
    """Generic rows set aside, and the bound under which scrambled sections are kept out."""

    split: Split = field(default_factory=Split)
    bound: int = 0

    def keeps_out(self, sections: Integers) -> npt.NDArray[np.bool_]:
        """Which rows, given their sections, belong to a section that was set aside from."""
        return splitmix64(sections) < np.uint64(self.bound)


def set_aside(store: RowStore, size: int, seen: RowSet) -> SetAside:
    """Choose ``size`` rows of the generic corpus, by whole sections, that no split has.

    Sections are taken in the order of a fixed shuffle of their numbers, which needs no memory
    for the others. Raises `UserError` if there are too few distinct rows.
    """
    aside = SetAside()
    factor = FIRST_CANDIDATES
    while len(aside.split.positions) < size:
        share = min(1.0, factor * size / len(store))
        upper = min(int(share * 2**64), 2**64 - 1)
        _take_between(store, aside, upper, size, seen)
        if len(aside.split.positions) < size and (share == 1.0 or factor >= MOST_CANDIDATES):
            raise UserError(
                f"data.generic_valid: {size} rows asked, {len(aside.split.positions)} available: "
                f"source {store.meta.source} has {len(store)} rows, too many of them equal to "
                f"each other or to the target; lower generic_valid or give a larger source"
            )
        factor *= 2
    return aside


def _take_between(store: RowStore, aside: SetAside, upper: int, size: int, seen: RowSet) -> None:
    """Take rows of the sections with scrambled numbers from ``aside.bound`` to ``upper``."""
    positions, ranks = _rows_between(store, aside.bound, upper)
    for i in np.lexsort((positions, ranks)):
        if len(aside.split.positions) == size:
            return
        aside.split.take(store, int(positions[i]), GENERIC_VALID, seen)
        aside.bound = int(ranks[i]) + 1
    aside.bound = upper


def _rows_between(store: RowStore, lower: int, upper: int) -> tuple[Integers, Integers]:
    positions, ranks = [], []
    for block in blocks(len(store), 1):
        rank = splitmix64(store.sections[block])
        chosen = np.flatnonzero((rank >= np.uint64(lower)) & (rank < np.uint64(upper)))
        positions.append(block.start + chosen)
        ranks.append(rank[chosen])
    return np.concatenate(positions), np.concatenate(ranks)


def whole_sections(store: RowStore) -> Iterator[slice]:
    """Consecutive slices of rows, as `blocks` gives them, that divide no section."""
    start = 0
    for block in blocks(len(store), store.meta.width):
        end = block.stop
        while end < len(store) and store.sections[end] == store.sections[end - 1]:
            end += 1
        if end > start:
            yield slice(start, end)
        start = max(start, end)


def nothing_left(store: RowStore, near: int) -> UserError:
    """The error for a generic corpus of which no row may be trained on."""
    resembling = f" and {near} that resemble held-out ones" if near else ""
    kept = ", or keep those with data.near_duplicates: keep" if near else ""
    return UserError(
        f"data.generic: source {store.meta.source} has {len(store)} rows, none of which is left "
        f"after setting generic_valid aside and removing the target's evaluation rows{resembling}; "
        f"give a larger source{kept}"
    )
