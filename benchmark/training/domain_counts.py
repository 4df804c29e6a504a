"""Which generic rows a run has trained on: how much of each provenance domain, and a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from benchmark.models.batch import Rows
from benchmark.study.metrics import DOMAIN_SEEN, DOMAIN_SHARE
from benchmark.study.row_sample import KEY, sample_of


class DomainCounter:
    """Counts the generic rows of a run by domain, and keeps a sample of the most recent ones.

    ``sizes`` are the domains' rows in all.
    """

    def __init__(self, generic: Rows, sizes: Mapping[str, int]) -> None:
        self._generic = generic
        self._sizes = np.array([sizes[name] for name in generic.domain_names])
        self._recent = np.zeros_like(self._sizes)
        self._seen = np.zeros_like(self._sizes)
        self._seen_bits = np.zeros(len(generic) // 8 + 1, dtype=np.uint8)
        self._sample = np.empty(0, dtype=np.int64)

    def add(self, positions: np.ndarray) -> None:
        """Count the rows of a batch; -1 stands for rows from elsewhere."""
        generic = positions[positions >= 0]
        distinct = np.unique(generic)
        masks = (1 << (distinct & 7)).astype(np.uint8)
        new = (self._seen_bits[distinct >> 3] & masks) == 0
        np.bitwise_or.at(self._seen_bits, distinct >> 3, masks)
        self._recent += self._by_domain(generic)
        self._seen += self._by_domain(distinct[new])
        self._sample = sample_of(self._sample, distinct)

    def figures(self) -> dict[str, Any]:
        """Each domain's share of the rows counted since the last call, the share of its rows that
        have been trained on so far, and a sample of the rows since the last call, by
        `benchmark.study.row_sample`; nothing if there were no generic rows.
        """
        figures: dict[str, Any] = {KEY: self._sample.tolist()} if self._sample.size else {}
        total = self._recent.sum()
        for name, recent, seen, size in zip(
            self._generic.domain_names, self._recent, self._seen, self._sizes, strict=True
        ):
            if total and size:
                figures[DOMAIN_SHARE + name] = float(recent / total)
                figures[DOMAIN_SEEN + name] = float(seen / size)
        self._recent[:] = 0
        self._sample = self._sample[:0]
        return figures

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on counting after a restart."""
        arrays = {"recent": self._recent, "seen": self._seen, "seen_bits": self._seen_bits}
        arrays["sample"] = self._sample
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self._recent = state["recent"].cpu().numpy()
        self._seen = state["seen"].cpu().numpy()
        self._seen_bits = state["seen_bits"].cpu().numpy()
        # Checkpoints of earlier versions have no sample.
        self._sample = state["sample"].cpu().numpy() if "sample" in state else self._sample

    def _by_domain(self, positions: np.ndarray) -> np.ndarray:
        return np.bincount(self._generic.domains(positions), minlength=len(self._sizes))
