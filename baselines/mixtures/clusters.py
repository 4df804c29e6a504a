"""Clusters of the generic rows, found from their text: the domains of CRISP.

Rows are embedded, k-means is fitted on a sample of the generic ones, and then every generic row
and every row of the target sample goes to its nearest centre.
More: docs/methods/crisp.md
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from threadpoolctl import threadpool_limits
from torch import Tensor

from baselines.mixtures.domains import Domains
from baselines.row_embedding import FEWEST_FITTED, Embed, EmbeddingSettings, row_embedding
from baselines.row_text import all_positions, generic_sample
from benchmark.api import Choice, Task, UserError, scan

KMEANS_BATCH = 1024
FITTED_A_CLUSTER = 256

Assign = Callable[[np.ndarray], np.ndarray]
"""Unit vectors ``[n, d]`` to the numbers of their clusters ``[n]``, in the narrowest type."""


class ClusterSettings(EmbeddingSettings):
    """How generic rows are clustered."""

    count: Annotated[int, Field(ge=2, le=65536), Choice((16, 64, 256))] = 64
    """Number of clusters."""

    fitted_rows: Annotated[int | None, Field(ge=2)] = None
    """Generic rows, at most, that embedding and k-means are fitted on; None: 256 a cluster, and at
    least 20,000.
    """

    @property
    def sample_rows(self) -> int:
        """Generic rows, at most, to fit on."""
        return self.fitted_rows or max(FEWEST_FITTED, FITTED_A_CLUSTER * self.count)


@dataclass(frozen=True)
class Clusters:
    """The cluster of each generic row ``[len(generic)]`` and of each row of the target ``[k]``."""

    labels: np.ndarray
    target_labels: np.ndarray


def cluster_domains(labels: np.ndarray, count: int) -> Domains:
    """Generic rows by cluster, ``labels`` ``[len(generic)]`` being below ``count``."""
    return Domains(labels, tuple(f"cluster_{number}" for number in range(count)))


def cluster(task: Task, settings: ClusterSettings) -> Clusters:
    """Cluster the generic rows and place the target sample; a function of the task's seed.

    Uses as many threads as torch does.
    Charged to preparation: the embedding; for k-means, two FLOPs a dimension of every distance, in
    the fit and in the assignment.

    Raises:
        UserError: fewer rows than clusters, or as of :func:`row_embedding`.
    """
    # What a method adds to these settings does not change its clusters.
    names = set(ClusterSettings.model_fields)
    depends_on = settings.model_dump(mode="json", include=names) | {"seed": task.seed}

    def compute() -> dict[str, Tensor]:
        with threadpool_limits(torch.get_num_threads()):
            sample = generic_sample(task, "clusters", settings.sample_rows)
            embed, assign = _fit(task, settings, sample)
            everything = all_positions(task)
            with embed.by_blocks(task) as embedded:

                def of_part(positions: np.ndarray) -> np.ndarray:
                    return np.concatenate([assign(vectors) for vectors in embedded(positions)])

                labels = scan(task, "labels", depends_on, everything, of_part, rows_alone=True)
            target_labels = assign(embed(task.target_sample().cpu().numpy()))
        return {"rows": torch.from_numpy(labels), "target": torch.from_numpy(target_labels)}

    found = task.once("clusters", depends_on, compute, rows_alone=True)
    return Clusters(found["rows"].cpu().numpy(), found["target"].cpu().numpy())


def _fit(task: Task, settings: ClusterSettings, sample: np.ndarray) -> tuple[Embed, Assign]:
    """Embedding and k-means fitted on ``sample`` ``[n, T]``."""
    from sklearn.cluster import MiniBatchKMeans

    if len(sample) < settings.count:
        raise UserError(
            f"count: {settings.count} clusters cannot be fitted on {len(sample)} generic rows: "
            "lower count or raise fitted_rows"
        )
    embed = row_embedding(task, settings, sample)
    seed = task.derived_seed("k-means") % 2**32
    kmeans = MiniBatchKMeans(settings.count, batch_size=KMEANS_BATCH, n_init=3, random_state=seed)
    points = embed(sample)
    kmeans.fit(points)
    distances = 2.0 * settings.count * points.shape[1]
    task.meter.charge_flops("preparation", kmeans.n_steps_ * KMEANS_BATCH * distances)

    def assign(vectors: np.ndarray) -> np.ndarray:
        task.meter.charge_flops("preparation", len(vectors) * distances)
        return np.asarray(kmeans.predict(vectors), dtype=np.min_scalar_type(settings.count - 1))

    return embed, assign
