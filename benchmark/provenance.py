"""Which provenance domains a run has trained on, and how much of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from benchmark.task import Rows


class DomainCounter:
    """Counts the generic rows of a run by domain; ``sizes`` are the domains' rows in all."""

    def __init__(self, generic: Rows, sizes: Mapping[str, int]) -> None:
        self._generic = generic
        self._sizes = np.array([sizes[name] for name in generic.domain_names])
        self._recent = np.zeros_like(self._sizes)
        self._seen = np.zeros_like(self._sizes)
        self._seen_bits = np.zeros(len(generic) // 8 + 1, dtype=np.uint8)

    def add(self, positions: np.ndarray) -> None:
        """Count the rows of a batch; -1 stands for rows from elsewhere."""
        generic = positions[positions >= 0]
        distinct = np.unique(generic)
        masks = (1 << (distinct & 7)).astype(np.uint8)
        new = (self._seen_bits[distinct >> 3] & masks) == 0
        np.bitwise_or.at(self._seen_bits, distinct >> 3, masks)
        self._recent += self._by_domain(generic)
        self._seen += self._by_domain(distinct[new])

    def figures(self) -> dict[str, float]:
        """Each domain's share of the rows counted since the last call, and the share of its rows
        that have been trained on so far; nothing if there were no generic rows.
        """
        figures = {}
        total = self._recent.sum()
        for name, recent, seen, size in zip(
            self._generic.domain_names, self._recent, self._seen, self._sizes, strict=True
        ):
            if total and size:
                figures[f"domain_share/{name}"] = float(recent / total)
                figures[f"domain_seen/{name}"] = float(seen / size)
        self._recent[:] = 0
        return figures

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on counting after a restart."""
        arrays = {"recent": self._recent, "seen": self._seen, "seen_bits": self._seen_bits}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self._recent = state["recent"].cpu().numpy()
        self._seen = state["seen"].cpu().numpy()
        self._seen_bits = state["seen_bits"].cpu().numpy()

    def _by_domain(self, positions: np.ndarray) -> np.ndarray:
        return np.bincount(self._generic.domains(positions), minlength=len(self._sizes))
