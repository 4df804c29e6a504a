"""The two frozen rules on the test part, against each other and on the control: found/tiers.md.

    python results/atlas/compare.py      # after `adaptbench recommend score` with either rule

Reads the measures that scoring has kept with the records, and computes none.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import design
import numpy as np
from outcomes import folders, mean
from summarise import FOUND, scored

from benchmark.core.files import write_atomically
from benchmark.data import PreparedData
from benchmark.diagnostic.recommend.cells import measured_cells
from benchmark.diagnostic.recommend.features import Tier
from benchmark.diagnostic.recommend.fitting import Cell as MeasuredCell
from benchmark.diagnostic.recommend.measuring import Measuring
from benchmark.diagnostic.recommend.outcomes import Finished, read_outcomes
from benchmark.diagnostic.recommend.rule import ENDS, shipped_rule
from benchmark.diagnostic.recommend.scoring import Foretold, Scored, score_frozen
from benchmark.report.tables.blocks import Block, Cell, ungrouped
from benchmark.report.tables.rendering import markdown
from benchmark.study.environment import describe
from benchmark.study.study import RunSpec

TIERS: tuple[Tier, ...] = (0, 1)
INTERVAL = "95% intervals by a bootstrap over sources; bold: the interval is above 0"


def main() -> None:
    """Score both rules on the same cells and write what differs."""
    studies = [read_outcomes(folder) for folder in folders("test")]
    if not studies:
        sys.exit("no records of the test part: python results/atlas/run.py test")
    cells = {tier: kept_cells(studies, tier) for tier in TIERS}
    found = {tier: score_frozen(cells[tier], shipped_rule(tier)) for tier in TIERS}
    blocks = [difference_block(found[0], found[1]), cost_block(cells[1])]
    blocks += [control_block(each, tier) for tier, each in found.items()]
    document = "\n\n".join(["# Tier 1 against tier 0, and the control", *map(markdown, blocks)])
    write_atomically(FOUND / "tiers.md", document + "\n")


def kept_cells(studies: Sequence[Finished], tier: Tier) -> list[MeasuredCell]:
    """The cells of studies with the measures that are kept of them; exits where one has none."""

    def prepare(spec: RunSpec) -> PreparedData:
        sys.exit(f"{spec.target_name}: not measured: run adaptbench recommend score")

    measuring = Measuring(Path(), describe("cpu", 1), print)
    return measured_cells(studies, tier, measuring, prepare, print)


def difference_block(cheap: Scored, dear: Scored) -> Block:
    """The regret of following either rule, and what the dearer one saves."""
    rows = []
    for end, words in ENDS.items():
        pairs = list(zip(cheap.foretold[end], dear.foretold[end], strict=True))
        assert all(a.cell.target == b.cell.target for a, b in pairs), "the same cells, in order"
        sources = np.array([a.cell.source for a, _ in pairs])
        regrets = np.array([[each.regret(each.chosen) for each in pair] for pair in pairs])
        values = (regrets[:, 0], regrets[:, 1], regrets[:, 0] - regrets[:, 1])
        same = np.mean([a.chosen == b.chosen for a, b in pairs])
        means = [scored(mean(value, sources), ".2f") for value in values]
        # That a regret is above 0 is no news.
        texts = [Cell(means[0].text), Cell(means[1].text), means[2]]
        rows.append((words, (*texts, Cell(f"{same:.0%}"))))
    notes = ("Regret in 100 x log ratio of losses, about percent", INTERVAL)
    columns = ungrouped(("tier 0", "tier 1", "tier 1 saves", "same choice"))
    return Block("Regret of the recommendation", columns, tuple(rows), notes, corner="end")


def cost_block(cells: Sequence[MeasuredCell]) -> Block:
    """What tier 1 costs, as a share of the FLOPs of training once and in seconds, by budget."""
    rows = []
    for steps in design.STEPS:
        trained = steps * design.BATCH
        some = [c.measured for c in cells if c.measured.setting.rows_trained == trained]
        shares = [each.cost.flops / each.run_flops for each in some if each.run_flops]
        seconds = [each.cost.seconds for each in some]
        texts = (f"{np.median(shares):.2f}", f"{max(shares):.2f}", f"{np.median(seconds):.1f} s")
        rows.append((f"{steps} steps", tuple(map(Cell, texts))))
    notes = ("FLOPs of pretraining up to the last checkpoint and of the rows' gradients",)
    columns = ungrouped(("share of training once, median", "largest", "gradients, median"))
    return Block("What tier 1 costs", columns, tuple(rows), notes, corner="budget")


def control_block(found: Scored, tier: int) -> Block:
    """For each end, in how many of the control's forecasts the 90% interval holds 0."""
    controls = {n for n, source in design.read_sources().items() if source["kind"] == "control"}
    rows = []
    for end, words in ENDS.items():
        some = [each for each in found.foretold[end] if _source(each) in controls]
        asked = [(each, label) for each in some for label in each.expected]
        without = [
            f"{label} ({each.low[label]:+.1f} to {each.high[label]:+.1f})"
            for each, label in asked
            if not each.low[label] <= 0 <= each.high[label]
        ]
        held = f"{len(asked) - len(without)} of {len(asked)}"
        rows.append((words, (Cell(held), Cell(", ".join(without) or "none"))))
    columns = ungrouped(("intervals that hold 0", "those that do not"))
    return Block(f"The control, by the rule of tier {tier}", columns, tuple(rows), (), corner="end")


def _source(foretold: Foretold) -> str:
    return foretold.cell.target.rsplit("_", 1)[0]


if __name__ == "__main__":
    main()
