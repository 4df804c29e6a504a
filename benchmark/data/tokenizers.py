"""Text to tokens in row space, where 0 is both padding and start symbol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from benchmark.core.errors import UserError
from benchmark.core.hub import name_and_commit
from benchmark.data.digests import tokenizer_digest

BYTES = "bytes"


class Tokenizer(Protocol):
    """What turns texts into row tokens, all of them in ``1 .. vocabulary_size - 1``."""

    @property
    def name(self) -> str:
        """The name that `load_tokenizer` takes."""

    @property
    def vocabulary_size(self) -> int:
        """Number of row tokens, padding included."""

    def encode_batch(self, texts: Sequence[str]) -> list[npt.NDArray[np.integer[Any]]]:
        """One vector of row tokens for each text."""

    def decode(self, tokens: npt.NDArray[np.integer[Any]]) -> str:
        """Text of one row, padding left out; a character cut by the row's edge becomes U+FFFD."""


class ByteTokenizer:
    """A token is the value of a UTF-8 byte; texts hold no NUL, so 0 is free for padding."""

    name = BYTES
    vocabulary_size = 256

    def encode_batch(self, texts: Sequence[str]) -> list[npt.NDArray[np.integer[Any]]]:
        """One vector of byte values for each text."""
        return [np.frombuffer(text.encode(), dtype=np.uint8) for text in texts]

    def decode(self, tokens: npt.NDArray[np.integer[Any]]) -> str:
        """Text of one row."""
        return tokens[tokens > 0].astype(np.uint8).tobytes().decode(errors="replace")


class HuggingFaceTokenizer:
    """Row token = token id + 1, so that 0 stays free for padding; no special tokens added."""

    def __init__(self, name: str, tokenizer: Any) -> None:
        self.name = name
        # Ids may have gaps, so that the number of tokens says nothing of the largest.
        self.vocabulary_size = max(tokenizer.get_vocab().values(), default=-1) + 2
        if self.vocabulary_size == 1:
            raise UserError(
                f"tokenizer: {name!r} has no token; give the folder of one that was trained"
            )
        self.end = None if tokenizer.eos_token_id is None else int(tokenizer.eos_token_id) + 1
        """The token that ends a text; None: there is none."""
        self._tokenizer = tokenizer

    def encode_batch(self, texts: Sequence[str]) -> list[npt.NDArray[np.integer[Any]]]:
        """One vector of shifted token ids for each text."""
        encoded = self._tokenizer(list(texts), add_special_tokens=False, verbose=False)
        return [np.asarray(ids, dtype=np.int64) + 1 for ids in encoded["input_ids"]]

    def decode(self, tokens: npt.NDArray[np.integer[Any]]) -> str:
        """Text of one row."""
        return str(self._tokenizer.decode((tokens[tokens > 0] - 1).tolist()))


def load_tokenizer(name: str) -> Tokenizer:
    """``bytes``, or a Hugging Face tokeniser by path or name, of a commit if that is said.

    Raises `UserError` if it cannot be loaded.
    """
    if name == BYTES:
        return ByteTokenizer()
    from transformers import AutoTokenizer

    place, commit = name_and_commit(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, revision=commit)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"tokenizer: {name!r} cannot be loaded; valid: 'bytes', the name of a Hugging Face "
            f"tokeniser or the folder of a saved one ({reason})"
        ) from error
    return HuggingFaceTokenizer(name, tokenizer)


def tokenizer_fingerprint(name: str, cache: Path) -> str:
    """The name, or a digest of the files if it is local; loads nothing."""
    return name if name == BYTES else tokenizer_digest(name, cache) or name
