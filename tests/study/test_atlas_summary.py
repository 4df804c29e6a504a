"""What the atlas's tables say of cells that are made up."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from benchmark.diagnostic.recommend.fitting import Cell
from benchmark.diagnostic.recommend.rule import ENDS
from benchmark.diagnostic.recommend.scoring import score_frozen
from benchmark.study.records import Cost
from tests.diagnostic.recommend import made_up

ATLAS = Path(__file__).parents[2] / "results" / "atlas"
GAINS = {"pretraining": (0.0, 0.0, 0.0), "mixing": (2.0, 4.0, -3.0), "dds": (6.0, np.nan, -1.0)}
MULTIPLIERS = {"pretraining": 1.0, "mixing": 2.0, "dds": 0.5}


@pytest.fixture(scope="module")
def summarise() -> Iterator[ModuleType]:
    """The script, which finds its neighbours by its own folder."""
    sys.path.insert(0, str(ATLAS))
    yield importlib.import_module("summarise")
    sys.path.remove(str(ATLAS))


@pytest.fixture
def judge(summarise: ModuleType) -> ModuleType:
    """Another script there."""
    assert summarise
    return importlib.import_module("judge")


@pytest.fixture
def cells() -> pd.DataFrame:
    """Three cells of two sources, of which one method has no gain in one."""
    return pd.DataFrame(
        [
            {
                "study": "s",
                "target": f"t{place}",
                "source": source,
                "method": method,
                "end": end,
                "gain": gains[place],
                "multiplier": MULTIPLIERS[method],
            }
            for end in ("as_trained", "fine_tuned", "equal_flops")
            for method, gains in GAINS.items()
            for place, source in enumerate(("one", "one", "two"))
        ]
    )


def said(block: object, method: str) -> str:
    rows: dict[str, tuple[object, ...]] = dict(block.rows)  # type: ignore[attr-defined]
    return str(rows[method][0].text)  # type: ignore[attr-defined]


def test_gains_are_means_over_the_cells_that_have_one(
    summarise: ModuleType, cells: pd.DataFrame
) -> None:
    assert said(summarise.gain_block(cells, "pretraining"), "mixing") == "1.00 [-3.00, 3.00]"
    assert said(summarise.gain_block(cells, "pretraining"), "dds") == "2.50 [-1.00, 6.00]"
    assert said(summarise.gain_block(cells, "mixing"), "dds") == "3.00 [2.00, 4.00]"


def test_a_method_without_a_gain_is_ranked_last(summarise: ModuleType, cells: pd.DataFrame) -> None:
    block = summarise.rank_block(cells)
    assert said(block, "pretraining") == "2.0; 33%"
    assert said(block, "mixing") == "2.0; 33%"
    assert said(block, "dds") == "2.0; 33%"


def test_it_helps_where_it_gains(summarise: ModuleType, cells: pd.DataFrame) -> None:
    assert said(summarise.win_block(cells), "mixing").startswith("67% ")
    assert said(summarise.win_block(cells), "dds") == "50% [0, 100]; 100% [100, 100]"


def test_multipliers_are_quartiles(summarise: ModuleType, cells: pd.DataFrame) -> None:
    rows = dict(summarise.multiplier_block(cells).rows)
    assert [cell.text for cell in rows["mixing"]] == ["2.00", "2.00", "2.00", "100% [100, 100]"]
    assert rows["dds"][3].text == "0% [0, 0]"


def test_a_rule_is_compared_with_another_cell_by_cell(judge: ModuleType) -> None:
    some = made_up.cells(6, seed=1)
    good = score_frozen(some, made_up.fitted(renamed(made_up.cells(12, seed=2))))
    blind = score_frozen(some, made_up.fitted(renamed(made_up.cells(12, seed=2), flat=True)))
    same = dict(judge.difference_block(good, good).rows)["as trained"]
    assert [cell.text for cell in same[2:]] == ["0.00 [0.00, 0.00]", "100%", "12"]
    regret, other, saved, *_ = dict(judge.difference_block(blind, good).rows)["as trained"]
    assert float(regret.text.split()[0]) > float(other.text.split()[0])
    assert saved.best


def test_cells_that_one_tier_leaves_out_are_left_out(judge: ModuleType) -> None:
    some = made_up.cells(6, seed=1)
    rule = made_up.fitted(renamed(made_up.cells(12, seed=2)))
    fewer = judge.difference_block(score_frozen(some, rule), score_frozen(some[2:], rule))
    assert dict(fewer.rows)["as trained"][-1].text == "10"


def test_intervals_of_the_control_are_counted(judge: ModuleType) -> None:
    some = made_up.cells(2, seed=1)
    found = score_frozen(some, made_up.fitted(renamed(made_up.cells(12, seed=2))))
    said = dict(judge.control_block(found, 0).rows)["as trained"]
    foretold = found.foretold["as_trained"]
    inside = [each.low[m] <= 0 <= each.high[m] for each in foretold for m in each.expected]
    assert 0 < sum(inside) < len(inside) == 12
    assert said[0].text == f"{sum(inside)} of 12"
    assert said[2].text == f"{max(abs(g) for each in foretold for g in each.gain.values()):.1f}"


def test_costs_are_shares_of_training(judge: ModuleType) -> None:
    cells = []
    for steps in judge.design.STEPS:
        (cell,) = made_up.cells(1, seed=steps, targets=1)
        setting = cell.measured.setting.model_copy(update={"rows_trained": 16 * steps})
        cost = Cost(flops=30.0, seconds=2.0)
        update = {"setting": setting, "cost": cost, "run_flops": 10.0 * steps, "tier": 1}
        cells.append(dataclasses.replace(cell, measured=cell.measured.model_copy(update=update)))
    training = {(cell.study, cell.target): 8.0 for cell in cells}
    rows = dict(judge.cost_block(cells, training, 1).rows)
    assert [cell.text for cell in rows["60 steps"]] == ["0.05", "0.25", "2.00"]


def renamed(some: list[Cell], flat: bool = False) -> list[Cell]:
    """The cells of other sources; where ``flat``, of which one method gains most everywhere."""
    gains = {end: {"mixing": 5.0, "dsir": 0.0, "dds": 1.0} for end in ENDS}
    return [
        dataclasses.replace(
            cell,
            source=f"other {cell.source}",
            gains=gains if flat else cell.gains,
        )
        for cell in some
    ]
