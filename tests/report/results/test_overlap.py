"""Overlaps of methods: whose runs are compared, and the course of training in equal parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.report.results.overlap import PERIODS, method_overlaps
from benchmark.study.row_sample import KEY, sample_of


def frame(rows: list[tuple[str, int, int, range]]) -> pd.DataFrame:
    """Evaluations (method, seed, step, rows trained on) of one model and target."""
    shared = {"model": "mini", "target": "law", "stage": "trained"}
    return pd.DataFrame(
        [
            {**shared, "method": method, "seed": seed, "step": step, KEY: sample_of(rows).tolist()}
            for method, seed, step, rows in rows
        ]
    )


def test_runs_of_the_same_seed_are_compared_in_all_and_in_parts() -> None:
    measured = frame(
        [
            ("dds", 0, 50, range(10)),
            ("dds", 0, 100, range(10, 20)),
            ("soba", 0, 50, range(10)),
            ("soba", 0, 100, range(20, 30)),
            ("dds", 1, 100, range(40)),
            ("soba", 1, 100, range(40)),
        ]
    )
    found = method_overlaps(measured, ["soba", "random", "dds"])
    assert found is not None
    assert found.methods == ("soba", "dds")
    assert found.whole[0, 1] == pytest.approx((10 / 30 + 1) / 2)
    assert found.errors[0, 1] == 0
    half = found.course[PERIODS // 2 - 1, 0, 1]
    assert half == 1
    assert found.course[-1, 0, 1] == pytest.approx((0 + 1) / 2)
    assert np.isnan(found.course[0]).all()


def test_a_single_method_or_old_records_have_no_overlap() -> None:
    measured = frame([("dds", 0, 50, range(10))])
    assert method_overlaps(measured, ["dds", "soba"]) is None
    assert method_overlaps(measured.drop(columns=KEY), ["dds", "soba"]) is None
