"""Rows of pairs: the tokens of the source, given, and behind them those of the translation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.core.errors import UserError
from benchmark.data.config import DataConfig
from benchmark.data.encoding import within_vocabulary
from benchmark.data.files import files_fingerprint, read_files, read_listed
from benchmark.data.hub import read_hub
from benchmark.data.listing import list_files
from benchmark.data.task_rows import Column, Readers
from benchmark.data.text import Document, Tally, clean, keep_layout
from benchmark.data.tokenizers import (
    HuggingFaceTokenizer,
    Tokenizer,
    load_tokenizer,
    tokenizer_fingerprint,
)
from benchmark.tasks.translation.corpora import READERS

Integers = npt.NDArray[np.integer[Any]]
PAIRS_VERSION = 1
BYTE_END = 255
"""A byte that UTF-8 never has."""


def source_width(width: int) -> int:
    """Cells of a row of ``width`` that hold the source; the others hold the translation."""
    return width // 2


def end_of(tokenizer: Tokenizer) -> int:
    """The token that ends a translation.

    Raises:
        UserError: the tokeniser has no end of text.
    """
    if not isinstance(tokenizer, HuggingFaceTokenizer):
        return BYTE_END
    if tokenizer.end is None:
        raise UserError(
            f"tokenizer: {tokenizer.name!r} has no eos_token, which ends a translation: set it in "
            "its tokenizer_config.json, or give another tokeniser"
        )
    return tokenizer.end


class PairEncoder:
    """Pairs whose sides fit, a row each."""

    too_short = ""

    def __init__(self, data: DataConfig, tally: Tally) -> None:
        self._tokenizer = load_tokenizer(data.loaded_tokenizer)
        self._end = end_of(self._tokenizer)
        self._cleaned = keep_layout if data.whitespace == "keep" else clean
        self._fewest, self._tally = data.min_tokens, tally
        self.name = self._tokenizer.name
        self.vocabulary_size = self._tokenizer.vocabulary_size
        self.largest = self.vocabulary_size - 1
        self.width = data.width
        self.given = source_width(data.width)
        self.nothing = (
            f"no pair of which both sides have min_tokens {data.min_tokens} tokens or more and fit "
            f"into halves of width {data.width}; give a source with other pairs, or change these"
        )

    def rows(self, batch: list[Document]) -> Iterator[tuple[Document, Iterable[Integers]]]:
        """Each pair with its row, or none if a side is empty, too short or too long."""
        translations = [self._cleaned(document.rest or "") for document in batch]
        sources = self._tokenizer.encode_batch([document.text for document in batch])
        targets = self._tokenizer.encode_batch(translations)
        for document, source, target in zip(batch, sources, targets, strict=True):
            row = self._row(source, target)
            yield document, [] if row is None else [row[None]]

    def _row(self, source: Integers, target: Integers) -> Integers | None:
        room = self.width - self.given - 1  # one for the end
        problem = ""
        if not len(target):
            problem = "pairs with an empty translation"
        elif min(len(source), len(target)) < self._fewest:
            problem = f"pairs with a side under min_tokens {self._fewest}"
        elif len(source) > self.given or len(target) > room:
            problem = f"pairs with a side longer than its half of width {self.width}"
        if problem:
            self._tally.count(f"{problem} left out")
            return None
        for side in (source, target):
            within_vocabulary(side, self._tokenizer)
        row = np.zeros(self.width, dtype=np.int64)
        row[: len(source)] = source
        row[self.given : self.given + len(target)] = target
        row[self.given + len(target)] = self._end
        return row


class PairRows:
    """Pairs of a source and its translation, cut nowhere."""

    readers = Readers(
        embedded=READERS,
        files=read_files,
        files_fingerprint=files_fingerprint,
        files_notes=lambda paths: list_files(paths).notes(),
        hub=read_hub,
        listed=read_listed,
    )

    def identity(self, data: DataConfig, cache: Path) -> dict[str, Any]:
        """Tokeniser, widths and the treatment of white space."""
        return {
            "pairs": PAIRS_VERSION,
            "tokenizer": tokenizer_fingerprint(data.loaded_tokenizer, cache),
            "width": data.width,
            "min_tokens": data.min_tokens,
            "whitespace": data.whitespace,
        }

    def encoder(self, data: DataConfig, tally: Tally) -> PairEncoder:
        """The tokeniser and how much fits."""
        return PairEncoder(data, tally)

    def notes(self, data: DataConfig, splits: Mapping[str, Column]) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing."""
        return ()

    def shown(self, data: DataConfig) -> Callable[[Integers], str]:
        """Both sides."""
        sides = Sides(data)
        return lambda row: " => ".join(sides(row))


class PairDecoder:
    """What turns rows ``[n, T]`` into both texts of each, one after the other.

    The tokenizer is loaded when first needed, also after a copy was sent to another process.
    """

    def __init__(self, data: DataConfig) -> None:
        self.data = data

    def __call__(self, rows: Integers) -> list[str]:
        return [" ".join(self._sides(row)) for row in rows]

    def __getstate__(self) -> dict[str, DataConfig]:
        return {"data": self.data}

    @cached_property
    def _sides(self) -> Sides:
        return Sides(self.data)


class Sides:
    """What reads the two texts of a row."""

    def __init__(self, data: DataConfig) -> None:
        self._tokenizer = load_tokenizer(data.loaded_tokenizer)
        self._given, self._end = source_width(data.width), end_of(self._tokenizer)

    def __call__(self, row: Integers) -> tuple[str, str]:
        """Source and translation of a row ``[T]``, with signs or without."""
        tokens = np.abs(row.astype(np.int64))
        return self._tokenizer.decode(tokens[: self._given]), self.translation(
            tokens[self._given :]
        )

    def translation(self, tokens: Integers) -> str:
        """The text of tokens up to the first that ends it."""
        ends = np.flatnonzero(tokens == self._end)
        return self._tokenizer.decode(tokens[: ends[0]] if len(ends) else tokens)


def end_of_data(data: DataConfig) -> int:
    """The token that ends a translation in the rows of a study's data."""
    return end_of(load_tokenizer(data.loaded_tokenizer))
