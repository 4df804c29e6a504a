"""Mixtures of either kind of domain: the corpora that rows come from, or clusters of text."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from baselines.mixtures.clusters import ClusterSettings, cluster, cluster_domains
from baselines.mixtures.domains import DomainMixture, Domains, provenance
from benchmark.api import Hyperparameters, Task, UserError


class GroupedHyperparameters(Hyperparameters):
    """Which domains are mixed."""

    domains: Literal["provenance", "clusters"] = "provenance"
    """The corpora that the generic rows come from, or clusters of their text."""

    clusters: ClusterSettings = ClusterSettings()
    """How rows are clustered; used with ``domains: clusters`` only."""

    def reads(self) -> frozenset[str]:
        return self.clusters.reads() if self.domains == "clusters" else frozenset()


class GroupedMixture(DomainMixture):
    """A mixture of domains of either kind, of those that have rows."""

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        if hyperparameters.domains == "provenance" and len(task.generic.domain_names) < 2:
            raise UserError(
                f"{self.name}: domains: 'provenance' needs a generic corpus of two or more "
                f"sources, and this one has {len(task.generic.domain_names)}: use 'clusters'"
            )

    def group(self) -> Domains:
        settings = self.hyperparameters
        if settings.domains == "provenance":
            return with_rows(provenance(self.task))
        found = cluster(self.task, settings.clusters)
        return with_rows(cluster_domains(found.labels, settings.clusters.count))


def with_rows(domains: Domains) -> Domains:
    """The domains that have rows."""
    kept = np.flatnonzero(domains.shares)
    return Domains(np.searchsorted(kept, domains.labels), tuple(domains.names[i] for i in kept))
