"""CRISP: clustered importance sampling of the generic corpus.

What: clusters the generic rows once, then each row to train on is drawn by first drawing a
cluster from the target sample's histogram over clusters and then one of its rows uniformly.
Source: arXiv 2410.03735. Sampling by the importance w(c) = P(c | target) / P(c | generic) from
the generic corpus is the same as drawing c from P(c | target) and a row uniformly within.
Differences: the histogram is smoothed, P(c) = (1 - s) P(c | target) + s P(c | generic), so that
a small target sample rules no cluster out; centres are fitted on a sample of the rows. Clusters
that hold target rows but no generic row cannot be drawn from: the others' weights are scaled up,
and `observe` reports how many there are and the mass lost.
Defaults: ours: 256 clusters, LSI embedding of character 1- to 3-grams (needs no download; a
sentence-transformers model can be named instead), smoothing 0.01. Measured on the study `planted`
with kjv in place of its target, the share of hidden rows among those drawn over their share of the
corpus: 64, 256 and 1024 clusters of 3- to 4-grams 4.2, 6.5 and 7.8; of 1- to 3-grams 5.4, 7.7 and
9.4.
Charged for: embedding and assigning every generic row, and the fit, by the formulas in
`baselines.mixtures.clusters`; one pass over the target sample.
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
    style = ("#56B4E9", "h", "--")
    Hyperparameters = CrispHyperparameters

    def group(self) -> Domains:
        if not self.labels.size:
            found = cluster(self.task, self.hyperparameters)
            self.labels, self.target_labels = found.labels, found.target_labels
        return cluster_domains(self.labels, self.hyperparameters.count)

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
