"""What the atlas's tables say of cells that are made up."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

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
