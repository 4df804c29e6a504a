"""Rows as strings, for what works on words and n-grams instead of tokens.

`texts` is for methods that read a language: what the data's tokenizer decodes. `spellings` is for
n-grams of what the model reads: bytes, or the token ids of any other tokenizer, a word each.
Everything goes block by block: of a corpus of any size, only ``BLOCK_ROWS`` rows are strings at a
time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple, Self, TypeVar

import numpy as np
import torch
from pydantic import Field, model_validator

from benchmark.api import Frozen, Task, side_by_side

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK_ROWS = 4096
FEWEST_BLOCKS = 8
"""Of a process: it takes seconds to start."""

WORD = r"\w+|[^\w\s]+"

Result = TypeVar("Result")
Size = Annotated[int, Field(ge=1, le=16)]


class NgramSettings(Frozen):
    """Which n-grams of a row are counted, and into how many buckets they are hashed.

    None: characters 3 to 4 of byte rows (1 to 3 in embeddings), tokens 1 to 2 of others.
    """

    shortest: Size | None = None
    """Shortest n-gram, in characters of byte rows or in tokens of others; give ``longest`` too.
    None: 3 to 4 characters (1 to 3 in embeddings), 1 to 2 tokens.
    """

    longest: Size | None = None
    """Longest n-gram, likewise."""

    buckets: Annotated[int, Field(ge=2, le=2**26)] = 2**16
    """Number of hash buckets that n-grams are counted in."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.shortest is None) != (self.longest is None):
            raise ValueError("give both shortest and longest, or none of them")
        if self.shortest and self.longest and self.shortest > self.longest:
            raise ValueError(f"shortest {self.shortest} is above longest {self.longest}")
        return self


class Reading(NamedTuple):
    """How a task reads rows, to be sent to other processes."""

    decode: Callable[[np.ndarray], list[str]] | None
    has_byte_rows: bool

    @classmethod
    def of(cls, task: Task) -> Reading:
        """Of a task."""
        return cls(task.decode, task.has_byte_rows)


@contextmanager
def by_blocks(
    task: Task, function: Callable[[np.ndarray], Result]
) -> Iterator[Callable[[np.ndarray], Iterator[Result]]]:
    """Inside, what gives ``function`` of each block of rows at some generic positions, in order.

    In as many processes as torch has threads, where the corpus is worth it; ``function`` is sent
    to them. The results are the same in any number.
    """
    blocks = len(task.generic) // BLOCK_ROWS
    processes = max(1, min(torch.get_num_threads(), blocks // FEWEST_BLOCKS))
    with side_by_side(function, processes) as of_each:
        yield lambda positions: of_each(blocks_of(task, positions))


def texts(task: Task | Reading, rows: np.ndarray) -> list[str]:
    """The text of each row ``[n, T]``; a character cut by the row's edge becomes U+FFFD.

    Rows of a task that cannot decode them are read as their token ids, a word each.
    """
    return _words(rows) if task.decode is None else task.decode(rows)


def spellings(task: Task | Reading, rows: np.ndarray) -> list[str]:
    """A string for each row ``[n, T]`` with one character a byte, or one word a token.

    Of pairs, both sides one after the other.
    """
    if task.has_byte_rows:
        return [row.decode("latin-1") for row in _bytes(rows)]
    return _words(rows)


def all_positions(task: Task) -> np.ndarray:
    """Those of the generic corpus, in order."""
    return np.arange(len(task.generic))


def blocks_of(task: Task, positions: np.ndarray) -> Iterator[np.ndarray]:
    """The token rows at generic ``positions``, in order, at most ``BLOCK_ROWS`` at a time."""
    for start in range(0, len(positions), BLOCK_ROWS):
        yield task.generic.tokens(positions[start : start + BLOCK_ROWS])


def generic_sample(task: Task, purpose: str, count: int) -> np.ndarray:
    """A uniform sample of generic rows ``[min(count, all), T]``, by seed and ``purpose``."""
    size = len(task.generic)
    chosen = task.rng(0, purpose).choice(size, min(count, size), replace=False)
    return task.generic.tokens(np.sort(chosen))


def pixels(rows: np.ndarray) -> csr_matrix:
    """Those of images ``[n, T]``, from 0 to 1: sparse ``[n, T]``, the label's column empty."""
    from scipy.sparse import csr_matrix as sparse

    return sparse(np.maximum(-rows, 0) / 255)


class NgramFeatures:
    """Counts of hashed n-grams of rows: sparse ``[n, buckets]``.

    ``of_characters`` are the shortest and the longest of byte rows where the settings name none.
    """

    def __init__(
        self, task: Task, settings: NgramSettings, of_characters: tuple[int, int] = (3, 4)
    ) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self._reading = Reading.of(task)
        of_bytes = task.has_byte_rows
        usual = of_characters if of_bytes else (1, 2)
        self._vectorizer = HashingVectorizer(
            analyzer="char" if of_bytes else "word",
            ngram_range=(settings.shortest or usual[0], settings.longest or usual[1]),
            n_features=settings.buckets,
            token_pattern=None if of_bytes else r"\S+",
            lowercase=False,
            norm=None,
            alternate_sign=False,
        )

    def __call__(self, rows: np.ndarray) -> csr_matrix:
        """Counts in rows ``[n, T]``."""
        return self._vectorizer.transform(spellings(self._reading, rows))


class WordFeatures:
    """Counts of hashed n-grams of 1 to ``longest`` words of rows' text: sparse ``[n, buckets]``.

    Words and runs of punctuation, upper and lower case apart, as they stand in the text.
    """

    def __init__(self, task: Task, longest: int, buckets: int) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self._reading = Reading.of(task)
        self._vectorizer = HashingVectorizer(
            ngram_range=(1, longest),
            n_features=buckets,
            token_pattern=WORD,
            lowercase=False,
            norm=None,
            alternate_sign=False,
        )

    def __call__(self, rows: np.ndarray) -> csr_matrix:
        """Counts in rows ``[n, T]``."""
        return self._vectorizer.transform(texts(self._reading, rows))


def _bytes(rows: np.ndarray) -> list[bytes]:
    narrow = np.abs(rows).astype(np.uint8)
    return [row[row > 0].tobytes() for row in narrow]


def _words(rows: np.ndarray) -> list[str]:
    return [" ".join(map(str, row[row > 0])) for row in np.abs(rows)]
