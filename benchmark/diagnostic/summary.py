"""From alignments at checkpoints to estimates with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.core.randomness import generator
from benchmark.diagnostic.intervals import bounds, correlation_bounds, resampled_counts
from benchmark.diagnostic.measures import (
    Array,
    Booleans,
    headroom,
    lengthened,
    persistence,
    random_halves,
    reliability,
    transfer,
)
from benchmark.diagnostic.probe import Alignments
from benchmark.diagnostic.settings import Settings

MEASURES = {
    "reliability": "rank correlation of generic rows' alignments with two halves of the target",
    "null_reliability": "the same with as much generic text in place of the target",
    "excess_reliability": "reliability less that of the null",
    "mean_alignment": "held-out alignment of the mean generic row",
    "top_alignment": "held-out alignment of the generic rows that the other half ranks highest",
    "self_alignment": "held-out alignment of target rows",
    "headroom": "(top - mean) / (self - mean); 1: selected rows are as good as target rows",
    "persistence": "mean rank correlation of alignments with those at earlier checkpoints",
    "transfer_correlation": "rank correlation of alignment and agreement with fine-tuning",
    "transfer_gain": "agreement with fine-tuning, best aligned rows less the mean row",
}
CORRELATIONS = {"reliability", "null_reliability", "persistence", "transfer_correlation"}
Values = dict[str, float]


@dataclass(frozen=True)
class Observed:
    """All that was measured: alignments at each checkpoint, oldest first, and the agreement
    ``[m]`` of the generic rows with a fine-tuning from the last.
    """

    checkpoints: Sequence[Alignments]
    displaced: Array
    downsampling: float


@dataclass(frozen=True)
class Draw:
    """``halves`` of the batches, and how often each counts, of the target's and of the null's."""

    halves: Booleans
    target: Array
    null: Array


@dataclass(frozen=True)
class Estimated:
    """The measures of one checkpoint, and those of each resample of ``batches`` batches."""

    values: Values
    replicates: Sequence[Values]
    batches: int

    def bounds(self, name: str) -> tuple[float, float]:
        """95% bounds of a measure."""
        find = correlation_bounds if name in CORRELATIONS else bounds
        return find(self.values[name], [draw[name] for draw in self.replicates], self.batches)


def estimate(observed: Observed, settings: Settings, seed: int) -> list[Estimated]:
    """The measures of each checkpoint with a bootstrap over batches."""
    plain = plain_draw(observed, settings, seed)
    values = measure(observed, plain)
    replicates = [measure(observed, draw) for draw in _resampled(plain, settings, seed)]
    batches = len(plain.target)
    return [
        Estimated(values[number], [draw[number] for draw in replicates], batches)
        for number in range(len(values))
    ]


def plain_draw(observed: Observed, settings: Settings, seed: int) -> Draw:
    """Random splits, every batch once."""
    batches = len(observed.checkpoints[-1].generic)
    rng = generator(seed, "diagnosis", "halves")
    halves = random_halves(batches, settings.splits, rng)
    return Draw(halves, target=np.ones(batches), null=np.ones(batches))


def _resampled(plain: Draw, settings: Settings, seed: int) -> list[Draw]:
    """The same splits with batches resampled."""
    rng = generator(seed, "diagnosis", "bootstrap")
    target, null = (resampled_counts(len(plain.target), settings.resamples, rng) for _ in range(2))
    return [Draw(plain.halves, *counts) for counts in zip(target, null, strict=True)]


def measure(observed: Observed, draw: Draw) -> list[Values]:
    """The measures of each checkpoint; persistence and transfer where there are any."""
    each = [_of_one(alignments, observed.downsampling, draw) for alignments in observed.checkpoints]
    weights = draw.target / draw.target.sum()
    means = np.stack([weights @ alignments.generic for alignments in observed.checkpoints])
    correlations = persistence(means)
    for number in range(1, len(each)):
        each[number]["persistence"] = float(correlations[number, :number].mean())
    last = transfer(means[-1], observed.displaced, observed.downsampling)
    each[-1]["transfer_correlation"] = last.correlation
    each[-1]["transfer_gain"] = last.top - last.mean
    return each


def _of_one(alignments: Alignments, downsampling: float, draw: Draw) -> Values:
    found = reliability(alignments.generic, draw.halves, draw.target)
    null = _null_reliability(alignments, draw)
    room = headroom(
        alignments.generic,
        alignments.target,
        alignments.batch_of,
        draw.halves,
        draw.target,
        downsampling,
    )
    return {
        "reliability": found,
        "null_reliability": null,
        "excess_reliability": found - null,
        "mean_alignment": room.mean,
        "top_alignment": room.top,
        "self_alignment": room.self,
        "headroom": room.share,
    }


def _null_reliability(alignments: Alignments, draw: Draw) -> float:
    """Of as many generic rows as there are target rows, by way of Spearman and Brown."""
    each = [reliability(c, draw.halves, draw.null) for c in alignments.null]
    return lengthened(float(np.mean(each)), alignments.target_rows_per_null_row)
