"""Samples of the rows that runs trained on, from which it shows how far these are the same rows.

A sample is the distinct rows with the smallest hashes (a bottom-k sketch). All runs hash alike, so
that a row which is in one sample is in that of every other run that trained on it, unless smaller
ones push it out; merged samples are that of all the rows together.

Source: Broder, On the resemblance and containment of documents, 1997; Cohen and Kaplan,
Summarizing data using bottom-k sketches, 2007.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.core.randomness import splitmix64

Rows = NDArray[np.int64]
Shares = NDArray[np.float64]
SAMPLE_ROWS = 128
KEY = "sampled_rows"
"""What a line of measurements calls the sample of the rows trained on since the line before."""


def sample_of(*rows: ArrayLike) -> Rows:
    """The sample of all these rows, or of what these samples are of: ``[k]``, by hash."""
    distinct = np.unique(np.concatenate([np.asarray(part, dtype=np.int64) for part in rows]))
    return distinct[np.argsort(splitmix64(distinct))[:SAMPLE_ROWS]]


def overlaps(samples: Sequence[ArrayLike]) -> tuple[Shares, Shares]:
    """How much of what every two runs trained on is the same: rows of both over rows of either.

    From the samples of m runs, the Jaccard indices and the standard errors of their estimates,
    ``[m, m]`` each: NaN for two runs without rows, and errors of 0 where the samples hold all
    rows. Below the smallest of the full samples' largest hashes every sample is complete, and
    what lies there is a uniform part of the rows of any two runs.
    """
    hashes = [splitmix64(np.asarray(sample, dtype=np.int64)) for sample in samples]
    limits = [found.max() for found in hashes if found.size == SAMPLE_ROWS]
    if limits:
        hashes = [found[found < min(limits)] for found in hashes]
    every = np.unique(np.concatenate(hashes))
    members = np.zeros((len(hashes), every.size))
    for member, found in zip(members, hashes, strict=True):
        member[np.searchsorted(every, found)] = 1
    both, sizes = members @ members.T, members.sum(axis=1)
    either = sizes[:, None] + sizes - both
    shares = np.divide(both, either, out=np.full_like(both, np.nan), where=either > 0)
    errors = np.sqrt(shares * (1 - shares) / np.maximum(either, 1))
    return shares, errors if limits else 0 * errors


def check_sample(rows: Any) -> None:
    """Refuse what is no sample as a line of measurements holds it.

    Raises:
        ValueError: naming what is wrong with it.
    """
    if not isinstance(rows, list) or not all(type(row) is int and 0 <= row < 2**63 for row in rows):
        raise ValueError(f"{KEY}: must be a list of rows, whole numbers from 0")
    if rows != sample_of(rows).tolist():
        raise ValueError(f"{KEY}: must be up to {SAMPLE_ROWS} distinct rows in the order of hashes")
