"""Rows of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.config import DataConfig
from benchmark.data.encoding import encode_documents, row_blocks, within_vocabulary
from benchmark.data.sources import TEXT
from benchmark.data.task_rows import Column
from benchmark.data.text import Document, Tally
from benchmark.data.tokenizers import BYTES, load_tokenizer, tokenizer_fingerprint

Integers = npt.NDArray[np.integer[Any]]


class TextEncoder:
    """Documents, cut into rows of ``width`` tokens."""

    given = 0

    def __init__(self, data: DataConfig) -> None:
        self._tokenizer = load_tokenizer(data.loaded_tokenizer)
        self._cut = (data.width, data.examples, data.min_tokens)
        self.name = self._tokenizer.name
        self.vocabulary_size = self._tokenizer.vocabulary_size
        self.largest = self.vocabulary_size - 1
        self.width = data.width
        self.too_short = f"documents under min_tokens {data.min_tokens}"
        self.nothing = (
            f"no document of min_tokens {data.min_tokens} tokens or more; give a source with text "
            "or lower min_tokens"
        )

    def rows(self, batch: list[Document]) -> Iterator[tuple[Document, Iterable[Integers]]]:
        """Each document with its rows."""
        for document, vectors in encode_documents(batch, self._tokenizer):
            checked = (within_vocabulary(tokens, self._tokenizer) for tokens in vectors)
            yield document, row_blocks(checked, *self._cut)


class TextRows:
    """Text, each row a piece of a document."""

    readers = TEXT

    def identity(self, data: DataConfig, cache: Path) -> dict[str, Any]:
        """Tokeniser and how documents are cut."""
        identity = {
            "tokenizer": tokenizer_fingerprint(data.loaded_tokenizer, cache),
            "width": data.width,
            "examples": data.examples,
            "min_tokens": data.min_tokens,
        }
        if data.tokenizer != BYTES:
            # Rows of tokenizers whose ids have gaps were once stored too narrow.
            identity["vocabulary"] = "to the largest id"
        if data.whitespace != "collapse":  # stores from before there was a choice stay valid
            identity["whitespace"] = data.whitespace
        return identity

    def encoder(self, data: DataConfig, tally: Tally) -> TextEncoder:  # noqa: ARG002
        """The tokeniser and how documents are cut."""
        return TextEncoder(data)

    def notes(self, data: DataConfig, splits: Mapping[str, Column]) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing."""
        return ()

    def shown(self, data: DataConfig) -> Callable[[Integers], str]:
        """What the tokeniser decodes."""
        return load_tokenizer(data.loaded_tokenizer).decode
