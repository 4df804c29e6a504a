"""Whether a run's selection has collapsed: its weights sit on fewer rows than a batch holds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.study.metrics import WEIGHTS_ENTROPY
from benchmark.study.records import metrics_file
from benchmark.study.stages import STAGES

MARK = "‡"
"""Stands beside whatever comes from a selection that has collapsed."""
ROUNDING = 1e-3
"""So far below a batch, in batches, weights that are held at one may come to lie."""


@dataclass(frozen=True)
class Selection:
    """How many of the rows offered were in effect chosen from, and how many a batch holds."""

    effective_rows: float
    batch: int

    @property
    def collapsed(self) -> bool:
        """Whether the draw was in effect the top of the scores."""
        return self.effective_rows < (1 - ROUNDING) * self.batch

    def __str__(self) -> str:
        mark = f" {MARK}" if self.collapsed else ""
        return f"{self.effective_rows:,.1f} of {self.batch:,}{mark}"


def selection_of(entropy: float, batch: int) -> Selection | None:
    """From the entropy of the weights in nats, NaN where there is none."""
    return None if math.isnan(entropy) else Selection(math.exp(entropy), batch)


def last_selection(results: Path, run_id: str, batch: int) -> Selection | None:
    """At the last evaluation of training of a run so far; None where nothing weighs rows."""
    file = metrics_file(results, run_id)
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return selection_of(_last_entropy(reversed(lines)), batch)


def _last_entropy(latest_first: Iterable[str]) -> float:
    for line in latest_first:
        figures = json.loads(line)
        if figures["stage"] == STAGES[0]:
            return float(figures.get(WEIGHTS_ENTROPY, math.nan))
    return math.nan
