"""Measure the targets of the study files that have been run, both tiers: atlas_NAME/measures.

    python results/atlas/features.py [fit|test]     # both parts without a word

Best where the files were run, as the rows are at hand there; what is measured is not measured
again. `adaptbench recommend fit` and `judge.py` then need no text.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from outcomes import folders

from benchmark.core.errors import UserError
from benchmark.data import PreparedData, prepare
from benchmark.diagnostic.recommend.cells import measured_cells
from benchmark.diagnostic.recommend.features import Tier
from benchmark.diagnostic.recommend.fitting import Cell
from benchmark.diagnostic.recommend.measuring import Measuring
from benchmark.diagnostic.recommend.outcomes import Finished, read_outcomes
from benchmark.study.environment import cache_folder, describe
from benchmark.study.study import RunSpec
from benchmark.training.start import set_up_torch

TIERS: tuple[Tier, ...] = (0, 1)


def main() -> None:
    """Measure file by file; one that is not complete is named and left out."""
    for folder in folders(*sys.argv[1:2]):
        try:
            study = read_outcomes(folder)
        except UserError as error:
            print(error)
            continue
        for tier in TIERS:
            measured([study], tier)


def measured(studies: Sequence[Finished], tier: Tier) -> tuple[list[Cell], list[str]]:
    """The cells of studies with their measures, and what is left out."""
    set_up_torch("cpu", 1)
    measuring = Measuring(cache_folder(None), describe("cpu", 1), lambda _: None)

    def rows(spec: RunSpec) -> PreparedData:
        print(f"tier {tier}: {spec.target_name}", flush=True)
        return prepare(spec.data, spec.target, measuring.cache)

    return measured_cells(studies, tier, measuring, rows)


if __name__ == "__main__":
    main()
