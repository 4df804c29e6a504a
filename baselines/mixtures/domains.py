"""Mixtures of domains: rows grouped by provenance, drawn by the weight of their domain."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from benchmark.api import DOMAIN_WEIGHT, Baseline, Batch, Task, map_generic


class Domains:
    """The rows of the generic corpus by domain.

    ``labels`` ``[len(generic)]`` number each row's domain; ``shares`` ``[k]`` are the domains'
    natural shares of the rows.
    """

    def __init__(self, labels: np.ndarray, names: tuple[str, ...]) -> None:
        self.labels, self.names = labels, names
        counts = np.bincount(labels, minlength=len(names))
        self.shares = counts / counts.sum()
        self._by_domain = np.argsort(labels, kind="stable")
        self._starts = np.concatenate([[0], counts.cumsum()])

    def draw(self, weights: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """``count`` rows: a domain by weight, then one of its rows uniformly.

        Domains without rows are left out and the others' weights scaled up.
        """
        possible = np.where(self.shares > 0, weights, 0.0)
        chosen = rng.choice(len(possible), size=count, p=possible / possible.sum())
        sizes = self._starts[chosen + 1] - self._starts[chosen]
        return np.asarray(self._by_domain[self._starts[chosen] + rng.integers(0, sizes)])


def provenance(task: Task) -> Domains:
    """The corpora that the generic rows come from."""
    labels = map_generic(task, lambda batch: task.generic.domains(batch.positions))
    return Domains(labels, task.generic.domain_names)


class DomainMixture(Baseline):
    """Trains on rows drawn from domains by weights that :meth:`prepare` finds."""

    state: ClassVar[tuple[str, ...]] = ("weights",)

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        self.weights = np.empty(0)

    @abstractmethod
    def group(self) -> Domains:
        """The domains of the generic rows; deterministic, called again after a restart.

        What costs something to find is asked for by `Task.once`, so that it is not found again.
        """

    @abstractmethod
    def find_weights(self) -> np.ndarray:
        """Weights ``[k]`` of the domains, summing to one."""

    @cached_property
    def domains(self) -> Domains:
        """The domains, grouped when first asked for: after a restart, of a bill that has them."""
        with self.task.meter.free() if self.weights.size else nullcontext():
            return self.group()

    def prepare(self) -> None:
        self.weights = self.find_weights()

    def batch(self, step: int) -> Batch:
        rng = self.task.rng(step, "domain mixture")
        return self.task.generic_rows(self.domains.draw(self.weights, self.task.batch_size, rng))

    def observe(self, step: int) -> dict[str, float]:  # noqa: ARG002
        return {
            f"{DOMAIN_WEIGHT}{name}": float(weight)
            for name, weight in zip(self.domains.names, self.weights, strict=True)
        }
