"""Retrieval: the nearest neighbours of the target sample among the embedded generic rows.

What: each target row ranks all generic rows by the cosine of their embeddings; the rows with the
best rank that any target row gives them are kept.
Source: BETR, arXiv 2507.12466, sections 3.3 and 3.4, with the target sample for its benchmark
examples: S_j = max_i v(r_ij), ties to the larger cosine. There a classifier, fitted on ranked rows,
scores the corpus; here all rows are embedded and ranked.
Defaults: the best rank alone, keep 10% (paper); LSI embedding of character 1- to 3-grams (ours, as
CRISP; a sentence-transformers model can be named instead).
Charged for: embedding all rows, by the formulas in `baselines.row_embedding`, and two FLOPs a
dimension of every pair of a target and a generic row; one pass over the target sample.
More: docs/methods/retrieval.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from threadpoolctl import threadpool_limits

from baselines.filters.static_selection import StaticHyperparameters, StaticSelection
from baselines.row_embedding import EmbeddingSettings, row_embedding
from baselines.row_text import all_positions, generic_sample
from benchmark.api import Choice, Task, UserError, scan

TARGET_BLOCK = 16


class RetrievalHyperparameters(EmbeddingSettings, StaticHyperparameters):
    """Settings of retrieval."""

    for_checks: ClassVar[Mapping[str, Any]] = {"components": 8, "ngrams": {"buckets": 4096}}

    neighbours: Annotated[int, Field(ge=1), Choice((1, 4, 16))] = 1
    """Target rows that count for a row, those that rank it best: the mean of log2(1 / rank)."""


class Retrieval(StaticSelection):
    """Rows that rank high among the neighbours of target rows."""

    name = "retrieval"
    summary = "nearest neighbours of the target sample among embedded rows (BETR's ranks)"
    style = ("#56B4E9", "D", "-.")
    Hyperparameters = RetrievalHyperparameters

    def __init__(self, task: Task, hyperparameters: RetrievalHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        if hyperparameters.neighbours > task.target_size:
            raise UserError(
                f"retrieval: neighbours {hyperparameters.neighbours} must be at most the "
                f"{task.target_size} rows of the target sample: lower it or raise the target's "
                "train"
            )

    def choose(self) -> np.ndarray:
        settings = self.hyperparameters.model_dump(mode="json", exclude={"keep"})
        depends_on = settings | {"seed": self.task.seed}
        with threadpool_limits(torch.get_num_threads()):
            order = self.task.once(self.name, depends_on, self._order, rows_alone=True)
        return order[: self.kept_count]

    def _order(self) -> np.ndarray:
        """Positions of all generic rows, the best first."""
        task, settings = self.task, self.hyperparameters
        sample = generic_sample(task, self.name, settings.sample_rows)
        embed = row_embedding(task, settings, sample)

        names = set(EmbeddingSettings.model_fields)
        depends_on = settings.model_dump(mode="json", include=names) | {"seed": task.seed}
        everything = all_positions(task)
        with embed.by_blocks(task) as embedded:

            def of_part(positions: np.ndarray) -> np.ndarray:
                return np.concatenate(
                    [vectors.astype(np.float32) for vectors in embedded(positions)]
                )

            generic = scan(task, "embedded rows", depends_on, everything, of_part, rows_alone=True)
        target = embed(task.target_sample().cpu().numpy()).astype(np.float32)
        task.meter.charge_flops("preparation", 2.0 * len(target) * generic.size)
        return best_ranked(generic, target, settings.neighbours)


def best_ranked(generic: np.ndarray, target: np.ndarray, neighbours: int) -> np.ndarray:
    """Places of unit vectors ``generic`` ``[n, d]`` by how ``target`` ``[m, d]`` ranks them.

    The best first: the largest mean of log2(1 / rank) over the ``neighbours`` target rows that
    rank a row best, ties to the largest cosine with any.
    """
    size = len(generic)
    best = np.full((size, neighbours), size + 1)
    nearest = np.full(size, -np.inf)
    for start in range(0, len(target), TARGET_BLOCK):
        cosines = target[start : start + TARGET_BLOCK] @ generic.T
        ranks = np.empty(cosines.shape, dtype=np.int64)
        order = np.argsort(-cosines, axis=1, kind="stable")
        np.put_along_axis(ranks, order, np.arange(1, size + 1)[None], axis=1)
        found = np.concatenate([best, ranks.T], axis=1)
        best = np.partition(found, neighbours - 1, axis=1)[:, :neighbours]
        nearest = np.maximum(nearest, cosines.max(0))
    # Equal products of ranks are ties, however their logarithms were rounded.
    return np.lexsort((-nearest, np.log2(best).mean(1).round(9)))
