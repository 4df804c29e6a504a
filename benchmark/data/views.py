"""The rows of one split: an index into a store."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.rows import RowStore

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class RowView:
    """Some rows of a store, numbered from 0; nothing is read before it is asked for.

    ``fingerprint`` is a digest of the store's content and of which rows these are.
    """

    store: RowStore
    index: Integers
    fingerprint: str

    def __len__(self) -> int:
        return len(self.index)

    def tokens(self, positions: Integers) -> npt.NDArray[np.int64]:
        """Cells ``[k, width]`` of the rows at ``positions [k]``; those that are given are negative.

        `benchmark.data.task_rows` says what the signs mean.
        """
        return self.stored(positions).astype(np.int64)

    def stored(self, positions: Integers) -> Integers:
        """The same in the narrowest type that holds every cell."""
        rows = np.asarray(self.store.tokens[self.index[positions]])
        if given := self.store.meta.given:
            rows = rows.astype(np.result_type(rows.dtype, np.int8))
            np.negative(rows[:, :given], out=rows[:, :given])
        return rows

    def domains(self, positions: Integers) -> npt.NDArray[np.int64]:
        """Provenance domains ``[k]`` as indices into `domain_names`."""
        return self.store.domains[self.index[positions]].astype(np.int64)

    def documents(self, positions: Integers) -> npt.NDArray[np.int64]:
        """Documents ``[k]`` that the rows are of, by their numbers in the store."""
        return self.store.documents[self.index[positions]].astype(np.int64)

    @property
    def domain_names(self) -> tuple[str, ...]:
        """Names of the store's domains, also of those without a row in this view."""
        return self.store.meta.domain_names


def view_fingerprint(store: RowStore, index_sha256: str) -> str:
    """Digest of a store's content and of the bytes of an index into it."""
    return hashlib.sha256(f"{store.meta.content_hash} {index_sha256}".encode()).hexdigest()
