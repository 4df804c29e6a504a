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
def compare(summarise: ModuleType) -> ModuleType:
    """Another script there."""
    assert summarise
    return importlib.import_module("compare")


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


def test_a_rule_is_compared_with_another_cell_by_cell(compare: ModuleType) -> None:
    some = made_up.cells(6, seed=1)
    good = score_frozen(some, made_up.fitted(renamed(made_up.cells(12, seed=2))))
    blind = score_frozen(some, made_up.fitted(renamed(made_up.cells(12, seed=2), flat=True)))
    same = dict(compare.difference_block(good, good).rows)["as trained"]
    assert [cell.text for cell in same[2:]] == ["0.00 [0.00, 0.00]", "100%"]
    regret, other, saved, _ = dict(compare.difference_block(blind, good).rows)["as trained"]
    assert float(regret.text.split()[0]) > float(other.text.split()[0])
    assert saved.best


def test_intervals_of_the_control_are_counted(compare: ModuleType) -> None:
    some = made_up.cells(6, seed=1)
    control = dataclasses.replace(some[0], target="control_b_a")
    rule = made_up.fitted(renamed(made_up.cells(12, seed=2)))
    found = score_frozen([control, *some[1:]], rule)
    said = dict(compare.control_block(found, 0).rows)["as trained"]
    end = next(each for each in found.foretold["as_trained"] if each.cell is control)
    outside = [label for label in end.low if not end.low[label] <= 0 <= end.high[label]]
    assert outside
    assert said[0].text == f"{3 - len(outside)} of 3"
    assert all(label in said[1].text for label in outside)


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
