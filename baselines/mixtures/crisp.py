"""CRISP: clustered importance sampling of the generic corpus.

What: clusters the generic rows once, then each row to train on is drawn by first drawing a
cluster from the target sample's histogram over clusters and then one of its rows uniformly.
Source: arXiv 2410.03735: sampling by the importance w(c) = P(c | target) / P(c | generic). Here
the histogram is smoothed: P(c) = (1 - s) P(c | target) + s P(c | generic).
Defaults: ours: 256 clusters, LSI embedding of character 1- to 3-grams (needs no download; a
sentence-transformers model can be named instead), smoothing 0.01.
Charged for: embedding and assigning every generic row, and the fits, by the formulas in
`row_embedding` and `clusters`; one pass over the target sample.
More: docs/methods/crisp.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from baselines.mixtures.clusters import ClusterSettings, cluster, cluster_domains
from baselines.mixtures.domains import DomainMixture, Domains
from benchmark.api import Choice


class CrispHyperparameters(ClusterSettings):
    """Settings of CRISP."""

    for_checks: ClassVar[Mapping[str, Any]] = {
        "count": 8,
        "components": 8,
        "ngrams": {"buckets": 4096},
    }

    count: Annotated[int, Field(ge=2, le=65536), Choice((64, 256, 1024))] = 256
    """Number of clusters."""

    smoothing: Annotated[float, Field(gt=0, le=1), Choice((0.001, 0.01, 0.1))] = 0.01
    """Share of the histogram that is the generic corpus' own."""


class Crisp(DomainMixture):
    """Clustered importance sampling."""

    name = "crisp"
    summary = "clusters of the generic corpus, drawn by the target's histogram over them"
    revision = 2
    style = ("#56B4E9", "h", "--")
    Hyperparameters = CrispHyperparameters

    def group(self) -> Domains:
        found = cluster(self.task, self.hyperparameters)
        self.target_labels = found.target_labels
        return cluster_domains(found.labels, self.hyperparameters.count)

    def find_weights(self) -> np.ndarray:
        shares = self.domains.shares
        return smoothed_histogram(self.target_labels, shares, self.hyperparameters.smoothing)

    def observe(self, step: int) -> dict[str, float]:  # noqa: ARG002
        empty = self.domains.shares == 0
        return {
            "empty_clusters": float(empty.sum()),
            "target_mass_in_empty_clusters": float(self.weights[empty].sum()),
        }


def smoothed_histogram(labels: np.ndarray, shares: np.ndarray, smoothing: float) -> np.ndarray:
    """``(1 - s)`` times the shares of ``labels`` ``[n]`` plus ``s`` times ``shares`` ``[k]``."""
    histogram = np.bincount(labels, minlength=len(shares)) / len(labels)
    return np.asarray((1 - smoothing) * histogram + smoothing * shares)
