"""Documents to tokens and rows, batch by batch, in memory that no document's length decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.core.errors import UserError
from benchmark.data.text import Document
from benchmark.data.tokenizers import Tokenizer

DOCUMENTS_A_BATCH = 256
CHARACTERS_A_BATCH = 1 << 20
CHARACTERS_A_PIECE = 1 << 18

Integers = npt.NDArray[np.integer[Any]]


def document_batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Groups of documents, bounded in number and (but for one document) in characters."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if len(batch) == DOCUMENTS_A_BATCH or size >= CHARACTERS_A_BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def encode_documents(
    batch: list[Document], tokenizer: Tokenizer
) -> Iterator[tuple[Document, Iterable[Integers]]]:
    """Each document with its tokens: in one vector, or piece by piece if it is a long one.

    Encoders take a hundred times a text's size in memory, so that a document of any length is
    given to them in pieces, cut before a space, where almost all of them cut too.
    """
    short = [document.text for document in batch if not _is_long(document)]
    encoded = iter(tokenizer.encode_batch(short) if short else [])
    for document in batch:
        if _is_long(document):
            parts = _pieces(document.text)
            yield document, (tokenizer.encode_batch([part])[0] for part in parts)
        else:
            yield document, [next(encoded)]


def _is_long(document: Document) -> bool:
    return len(document.text) > CHARACTERS_A_BATCH


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = min(start + CHARACTERS_A_PIECE, len(text))
        if end < len(text):
            space = text.rfind(" ", start + CHARACTERS_A_PIECE // 2, end)
            end = end if space < 0 else space
        yield text[start:end]
        start = end


def within_vocabulary(tokens: Integers, tokenizer: Tokenizer) -> Integers:
    """The tokens; a larger one would wrap to another in the array of rows."""
    if len(tokens) and not 0 < tokens.min() <= tokens.max() < tokenizer.vocabulary_size:
        raise UserError(
            f"tokenizer: {tokenizer.name!r} makes tokens outside of its own vocabulary of "
            f"{tokenizer.vocabulary_size - 1}: mend its files or give another"
        )
    return tokens


def cut_rows(tokens: Integers, width: int, examples: str, min_tokens: int) -> Integers:
    """Rows ``[k, width]`` of one document, padded with 0; none if it is under ``min_tokens``.

    ``examples``: ``first`` keeps one row, ``chunks`` all, the last if it has ``min_tokens``.
    """
    if examples == "first":
        tokens = tokens[:width]
    used = len(tokens)
    if used % width < min_tokens:
        used -= used % width
    rows = np.zeros((-(-used // width), width), dtype=tokens.dtype)
    rows.reshape(-1)[:used] = tokens[:used]
    return rows


def row_blocks(
    vectors: Iterable[Integers], width: int, examples: str, min_tokens: int
) -> Iterator[Integers]:
    """Rows ``[k, width]`` of a document whose tokens come in pieces, as `cut_rows` of them all."""
    rest: Integers | None = None
    for vector in vectors:
        tokens = vector if rest is None else np.concatenate([rest, vector])
        whole = len(tokens) - len(tokens) % width
        if examples == "first" and whole:
            yield tokens[None, :width]
            return
        if whole:
            yield tokens[:whole].reshape(-1, width)
        rest = tokens[whole:]
    if rest is not None and len(rest) >= min_tokens:
        yield cut_rows(rest, width, examples, min_tokens)
