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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from baselines.filters.static_selection import StaticHyperparameters, StaticSelection
from baselines.row_text import WORD, all_positions, blocks_of, texts
from benchmark.api import Choice, LogUniform, scan

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


class Dsir(StaticSelection):
    """Importance resampling by hashed n-grams."""

    name = "dsir"
    summary = "importance resampling by hashed n-gram ratios"
    style = ("#E69F00", "p", "--")
    Hyperparameters = DsirHyperparameters

    def choose(self) -> np.ndarray:
        weights = self.log_weights()
        noise = self.task.rng(0, "dsir").gumbel(size=len(weights))
        return np.argsort(-(weights + noise), kind="stable")[: self.kept_count]

    def log_weights(self) -> np.ndarray:
        """Log importance weight of every generic row: ``[len(generic)]``."""
        task, everything = self.task, all_positions(self.task)
        buckets, smoothing = self.hyperparameters.buckets, self.hyperparameters.target_smoothing
        counted: dict[str, Any] = {"buckets": buckets}

        def count(positions: np.ndarray) -> np.ndarray:
            each = (self._ngrams(rows).counts(buckets) for rows in blocks_of(task, positions))
            return np.asarray(np.sum(list(each), axis=0, keepdims=True))

        target = smoothing + self._ngrams(task.target_sample().cpu().numpy()).counts(buckets)
        generic = scan(task, "dsir counts", counted, everything, count, rows_alone=True).sum(0)
        ratio = log_ratio(target, generic, self.hyperparameters.floor)

        def weigh(positions: np.ndarray) -> np.ndarray:
            each = (self._ngrams(rows).sums(ratio) for rows in blocks_of(task, positions))
            return np.concatenate(list(each))

        weighed = counted | {"floor": self.hyperparameters.floor, "smoothing": smoothing}
        return scan(task, "dsir weights", weighed, everything, weigh, rows_alone=True)

    def _ngrams(self, rows: np.ndarray) -> HashedNgrams:
        found = hashed_ngrams(texts(self.task, rows), self.hyperparameters.buckets)
        self.task.meter.charge_flops("preparation", len(found.bucket))
        return found


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
    bucket: list[int] = []
    lengths = np.empty(len(documents), dtype=np.int64)
    for number, document in enumerate(documents):
        words = WORDS.findall(document.lower())
        before = len(bucket)
        bucket += [_bucket(word, buckets) for word in words]
        bucket += [_bucket(f"{first} {second}", buckets) for first, second in pairwise(words)]
        lengths[number] = len(bucket) - before
    return HashedNgrams(
        size=len(documents),
        bucket=np.array(bucket, dtype=np.int64),
        text=np.repeat(np.arange(len(documents)), lengths),
    )


def log_ratio(
    target_counts: np.ndarray, generic_counts: np.ndarray, floor: float = 1e-8
) -> np.ndarray:
    """``log(p_target + floor) - log(p_generic + floor)`` of each bucket: ``[buckets]``."""
    target, generic = (
        counts / max(counts.sum(), 1.0) for counts in (target_counts, generic_counts)
    )
    return np.asarray(np.log(target + floor) - np.log(generic + floor))


@lru_cache(maxsize=2**20)
def _bucket(ngram: str, buckets: int) -> int:
    return int.from_bytes(hashlib.sha256(ngram.encode()).digest(), "big") % buckets
