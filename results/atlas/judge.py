"""The two frozen rules on the test part, once: found/tier0, found/tier1, found/tiers.md.

    python results/atlas/judge.py      # after the rules are committed and `run.py test` has ended

The control, whose answer is known beforehand, is kept apart: of its cells without noise, forecasts
stand beside what was measured.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import design
import numpy as np
from features import TIERS, measured
from outcomes import cell_of, folders, mean
from summarise import FOUND, scored

from benchmark.core.files import write_atomically
from benchmark.diagnostic.recommend.features import Tier
from benchmark.diagnostic.recommend.fitting import Cell as MeasuredCell
from benchmark.diagnostic.recommend.outcomes import read_outcomes
from benchmark.diagnostic.recommend.rule import ENDS, shipped_rule
from benchmark.diagnostic.recommend.scores import Foretold
from benchmark.diagnostic.recommend.scoring import Scored, score_frozen
from benchmark.diagnostic.recommend.write import write_scores
from benchmark.report.tables.blocks import Block, Cell, ungrouped
from benchmark.report.tables.rendering import markdown

INTERVAL = "95% intervals by a bootstrap over sources; bold: the interval is above 0"
Pair = tuple[Foretold, Foretold]


def main() -> None:
    """Score both rules on the same cells and write what differs."""
    studies = [read_outcomes(folder) for folder in folders("test")]
    if not studies:
        sys.exit("no records of the test part: python results/atlas/run.py test")
    seconds = {
        (study.study, outcome.record.spec.target_name): outcome.record.stages[0].cost.seconds
        for study in studies
        for outcome in study.outcomes
    }
    controls = {n for n, source in design.read_sources().items() if source["kind"] == "control"}
    found, control, costs = [], [], []
    for tier in TIERS:
        cells, left_out = measured(studies, tier)
        rule = shipped_rule(tier)
        some = score_frozen([cell for cell in cells if name_of(cell) not in controls], rule)
        names = [study.study for study in studies]
        write_scores(FOUND / f"tier{tier}", some, cells, names, left_out)
        found.append(some)
        quiet = [cell for cell in cells if name_of(cell) in controls and not is_noisy(cell)]
        control.append(control_block(score_frozen(quiet, rule), tier))
        costs.append(cost_block(cells, seconds, tier))
    blocks = [difference_block(*found), *costs, *control]
    document = "\n\n".join(["# Tier 1 against tier 0, and the control", *map(markdown, blocks)])
    write_atomically(FOUND / "tiers.md", document + "\n")


def name_of(cell: MeasuredCell) -> str:
    """The name of the cell's source in sources.yaml."""
    return cell.target.rsplit("_", 1)[0]


def is_noisy(cell: MeasuredCell) -> bool:
    """Whether half of the corpus is noise, which a control's target is not."""
    return design.is_noisy(cell_of(cell.study))


def difference_block(cheap: Scored, dear: Scored) -> Block:
    """The regret of following either rule, and what the dearer one saves, where both say one."""
    rows = []
    for end, words in ENDS.items():
        pairs = in_common(cheap.foretold[end], dear.foretold[end])
        sources = np.array([a.cell.source for a, _ in pairs])
        regrets = np.array([[each.regret(each.chosen) for each in pair] for pair in pairs])
        values = (regrets[:, 0], regrets[:, 1], regrets[:, 0] - regrets[:, 1])
        same = np.mean([a.chosen == b.chosen for a, b in pairs])
        means = [scored(mean(value, sources), ".2f") for value in values]
        # That a regret is above 0 is no news.
        texts = [Cell(means[0].text), Cell(means[1].text), means[2]]
        rows.append((words, (*texts, Cell(f"{same:.0%}"), Cell(f"{len(pairs)}"))))
    notes = ("Regret in 100 x log ratio of losses, about percent", INTERVAL)
    columns = ungrouped(("tier 0", "tier 1", "tier 1 saves", "same choice", "cells"))
    return Block("Regret of the recommendation", columns, tuple(rows), notes, corner="end")


def in_common(first: Sequence[Foretold], second: Sequence[Foretold]) -> list[Pair]:
    """Those of the same cell: what can be measured of text may be too little for gradients."""
    others = {(each.cell.study, each.cell.target): each for each in second}
    places = [(each, (each.cell.study, each.cell.target)) for each in first]
    return [(each, others[at]) for each, at in places if at in others]


def cost_block(
    cells: Sequence[MeasuredCell], training: dict[tuple[str, str], float], tier: Tier
) -> Block:
    """What a tier costs, by budget, as a share of training once; ``training``: its seconds."""
    rows = []
    for steps in design.STEPS:
        trained = steps * design.BATCH
        some = [cell for cell in cells if cell.measured.setting.rows_trained == trained]
        flops = [
            0.0 if tier == 0 else c.measured.cost.flops / (c.measured.run_flops or np.nan)
            for c in some
        ]
        spent = [cell.measured.cost.seconds for cell in some]
        share = [s / training[c.study, c.target] for s, c in zip(spent, some, strict=True)]
        texts = (np.median(flops), np.median(share), np.median(spent))
        rows.append((f"{steps} steps", tuple(Cell(f"{text:.2f}") for text in texts)))
    notes = ("Medians over cells; one thread; of tier 1 with the pretraining up to 12%",)
    columns = ungrouped(("FLOPs, trainings", "time, trainings", "seconds"))
    return Block(f"What tier {tier} costs", columns, tuple(rows), notes, corner="budget")


def control_block(found: Scored, tier: int) -> Block:
    """What is foretold for each end of the control's cells, beside what was measured."""
    rows = []
    for end, words in ENDS.items():
        asked = [(each, label) for each in found.foretold[end] for label in each.expected]
        held = [each.low[label] <= 0 <= each.high[label] for each, label in asked]
        largest = max(abs(each.gain[label]) for each, label in asked)
        expected = max(abs(each.expected[label]) for each, label in asked)
        texts = (f"{sum(held)} of {len(held)}", f"{expected:.1f}", f"{largest:.1f}")
        rows.append((words, tuple(map(Cell, texts))))
    columns = ungrouped(
        ("intervals that hold 0", "largest expected gain, either sign", "largest measured gain")
    )
    return Block(f"The control, by the rule of tier {tier}", columns, tuple(rows), (), corner="end")


if __name__ == "__main__":
    main()
