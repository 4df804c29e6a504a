"""DSIR: data selection with importance resampling on hashed n-grams.

What: the log importance weight of a generic row is the log ratio, under two bag-of-n-grams
models, of its probability as target text to that as generic text; rows are resampled without
replacement by those weights.
Source: arXiv 2302.03169 and public code (p-lambda/dsir): unigrams and bigrams of lower-case words,
hashed by SHA-256; log w(x) = sum over buckets of count * [log(p_target + 1e-8) -
log(p_generic + 1e-8)]; the top k of log w + Gumbel(0, 1).
Defaults: 10,000 buckets, floor 1e-8, no smoothing of the target's counts (public code); keep 10%,
as the classifier filter.
Charged for: one addition an n-gram and pass over the corpus (two: count, weigh) and the target.
More: docs/methods/dsir.md
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from baselines.filters.static_selection import StaticHyperparameters, StaticSelection
from baselines.row_text import WORD, Reading, all_positions, by_blocks, texts
from benchmark.api import TEXT, Choice, LogUniform, scan

WORDS = re.compile(WORD)


class DsirHyperparameters(StaticHyperparameters):
    """Settings of DSIR."""

    buckets: Annotated[int, Field(ge=2, le=2**24)] = 10_000
    """Number of hash buckets that words and pairs of words are counted in."""

    floor: Annotated[float, Field(gt=0, lt=1), LogUniform(1e-8, 1e-3)] = 1e-8
    """Added to each bucket's probability."""

    later = ("target_smoothing",)

    target_smoothing: Annotated[
        float, Field(ge=0, allow_inf_nan=False), Choice((0.0, 0.01, 0.1, 1.0))
    ] = 0.0
    """Added to each bucket's count in the target sample (Laplace)."""

    def reads(self) -> frozenset[str]:
        return frozenset({TEXT})


class Dsir(StaticSelection):
    """Importance resampling by hashed n-grams."""

    name = "dsir"
    summary = "importance resampling by hashed n-gram ratios"
    chooses_by = "importance"
    style = ("#E69F00", "p", "--")
    Hyperparameters = DsirHyperparameters

    def choose(self) -> np.ndarray:
        weights = self.log_weights()
        noise = self.task.rng(0, "dsir").gumbel(size=len(weights))
        return np.argsort(-(weights + noise), kind="stable")[: self.kept_count]

    def log_weights(self) -> np.ndarray:
        """Log importance weight of every generic row: ``[len(generic)]``."""
        task, everything = self.task, all_positions(self.task)
        settings, meter = self.hyperparameters, self.task.meter
        buckets, reading = settings.buckets, Reading.of(task)
        counted: dict[str, Any] = {"buckets": buckets}

        def charged(of_blocks: Iterable[tuple[np.ndarray, int]]) -> Iterator[np.ndarray]:
            for found, ngrams in of_blocks:
                meter.charge_flops("preparation", ngrams)
                yield found

        sample = task.target_sample().cpu().numpy()
        (target,) = charged([_counts(reading, buckets, sample)])
        with by_blocks(task, partial(_counts, reading, buckets)) as counts:

            def count(positions: np.ndarray) -> np.ndarray:
                return np.asarray(np.sum(list(charged(counts(positions))), axis=0, keepdims=True))

            generic = scan(task, "dsir counts", counted, everything, count, rows_alone=True).sum(0)
        ratio = log_ratio(settings.target_smoothing + target, generic, settings.floor)
        weighed = counted | {"floor": settings.floor, "smoothing": settings.target_smoothing}
        with by_blocks(task, partial(_sums, reading, buckets, ratio)) as sums:

            def weigh(positions: np.ndarray) -> np.ndarray:
                return np.concatenate(list(charged(sums(positions))))

            return scan(task, "dsir weights", weighed, everything, weigh, rows_alone=True)


def _counts(reading: Reading, buckets: int, rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Counts ``[buckets]`` of the n-grams of ``rows`` ``[n, T]``, and how many there are."""
    found = hashed_ngrams(texts(reading, rows), buckets)
    return found.counts(buckets), len(found.bucket)


def _sums(
    reading: Reading, buckets: int, values: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, int]:
    """Of each of ``rows`` ``[n, T]`` the sum ``[n]`` of its n-grams' values; how many there are."""
    found = hashed_ngrams(texts(reading, rows), buckets)
    return found.sums(values), len(found.bucket)


@dataclass(frozen=True)
class HashedNgrams:
    """The n-grams of ``size`` texts: the ``bucket`` ``[m]`` and the ``text`` ``[m]`` of each."""

    size: int
    bucket: np.ndarray
    text: np.ndarray

    def counts(self, buckets: int) -> np.ndarray:
        """How often each bucket occurs in all texts together: ``[buckets]``."""
        return np.bincount(self.bucket, minlength=buckets).astype(np.float64)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum over each text's n-grams of their bucket's value: ``[buckets] -> [size]``."""
        return np.bincount(self.text, weights=values[self.bucket], minlength=self.size)


def hashed_ngrams(documents: Sequence[str], buckets: int) -> HashedNgrams:
    """Unigrams and bigrams of the lower-case words of each text, by hash bucket."""
    words = [WORDS.findall(document.lower()) for document in documents]
    place = {word: number for number, word in enumerate(dict.fromkeys(chain(*words)))}
    names = [word.encode() for word in place]
    ids = np.fromiter(map(place.__getitem__, chain(*words)), np.int64)
    text = np.repeat(np.arange(len(documents)), [len(found) for found in words])
    inside = text[:-1] == text[1:]
    # Each n-gram of the documents is hashed once, however often it occurs.
    pairs, which = np.unique(ids[:-1][inside] * len(names) + ids[1:][inside], return_inverse=True)
    firsts, seconds = (part.tolist() for part in np.divmod(pairs, max(1, len(names))))
    spelled = (names[a] + b" " + names[b] for a, b in zip(firsts, seconds, strict=True))
    of_words, of_pairs = _buckets(names, buckets), _buckets(spelled, buckets)
    return HashedNgrams(
        size=len(documents),
        bucket=np.concatenate([of_words[ids], of_pairs[which]]),
        text=np.concatenate([text, text[:-1][inside]]),
    )


def log_ratio(
    target_counts: np.ndarray, generic_counts: np.ndarray, floor: float = 1e-8
) -> np.ndarray:
    """``log(p_target + floor) - log(p_generic + floor)`` of each bucket: ``[buckets]``."""
    target, generic = (
        counts / max(counts.sum(), 1.0) for counts in (target_counts, generic_counts)
    )
    return np.asarray(np.log(target + floor) - np.log(generic + floor))


def _buckets(ngrams: Iterable[bytes], buckets: int) -> np.ndarray:
    """SHA-256 of each n-gram, a number of 256 bits, modulo ``buckets``: int64 ``[m]``."""
    digests = b"".join([hashlib.sha256(ngram).digest() for ngram in ngrams])
    rest = np.zeros(len(digests) // 32, np.uint64)
    for word in np.frombuffer(digests, ">u4").reshape(-1, 8).T.astype(np.uint64):
        rest = ((rest << np.uint64(32)) + word) % np.uint64(buckets)
    return rest.astype(np.int64)
