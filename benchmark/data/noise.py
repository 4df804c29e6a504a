"""Text without structure, for studies in which the truth is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmark.data.text import Document

NOISE_VERSION = 1
WORDS_A_DOCUMENT = 60
LONGEST_WORD = 9
LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", dtype=np.uint8)


def random_letters(documents: int, seed: int) -> Iterator[Document]:
    """Documents of words of 1 to 9 uniformly random letters; a fixed function of ``seed``."""
    for number in range(documents):
        rng = np.random.Generator(np.random.Philox(key=[seed, number]))
        lengths = rng.integers(1, LONGEST_WORD + 1, size=WORDS_A_DOCUMENT)
        words = (rng.choice(LETTERS, size=length).tobytes().decode() for length in lengths)
        yield Document(" ".join(words), "noise")
