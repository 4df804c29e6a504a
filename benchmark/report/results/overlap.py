"""Frames in, numbers out: how far the methods of a study trained on the same rows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.report.statistics.estimates import Array
from benchmark.study.row_sample import KEY, Rows, overlaps, sample_of
from benchmark.study.stages import STAGES

PERIODS = 8
RUN = ["model", "target", "method", "seed"]


@dataclass(frozen=True)
class Overlaps:
    """Rows that both of two methods trained on over those that either did: means over runs.

    ``whole`` (methods, methods) is of all that was trained on and ``errors`` are the standard
    errors of its estimates; ``course`` (periods, methods, methods) is of what was trained on
    within each of as many equal parts of training. NaN where there is nothing to compare.
    """

    methods: tuple[str, ...]
    whole: Array
    errors: Array
    course: Array


def method_overlaps(measured: pd.DataFrame, methods: list[str]) -> Overlaps | None:
    """Overlaps of those ``methods`` whose runs have samples of rows; None of fewer than two.

    Runs of the same model, target and seed are compared, and the mean is over all of these.
    """
    if KEY not in measured.columns:
        return None
    columns = [*RUN, "step", KEY]
    sampled = measured.loc[(measured["stage"] == STAGES[0]) & measured[KEY].notna(), columns]
    found = [method for method in methods if (sampled["method"] == method).any()]
    if len(found) < 2:
        return None
    groups = [
        _group_overlaps(runs, found) for _, runs in sampled.groupby(["model", "target", "seed"])
    ]
    shares, errors = (np.stack(arrays) for arrays in zip(*groups, strict=True))
    counts = np.isfinite(shares).sum(axis=0)
    mean = np.where(counts > 0, np.nansum(shares, axis=0) / np.maximum(counts, 1), np.nan)
    error = np.sqrt(np.nansum(errors**2, axis=0)) / np.maximum(counts, 1)
    return Overlaps(tuple(found), mean[0], error[0], mean[1:])


def _group_overlaps(runs: pd.DataFrame, methods: list[str]) -> tuple[Array, Array]:
    """Shares and errors, (1 + periods, methods, methods): of the whole, then of each period."""
    samples: dict[int, dict[str, list[Rows]]] = defaultdict(lambda: defaultdict(list))
    last = runs["step"].max()
    for method, step, rows in zip(runs["method"], runs["step"], runs[KEY], strict=True):
        samples[0][method].append(rows)
        samples[-(-step * PERIODS // last)][method].append(rows)
    shares = np.full((1 + PERIODS, len(methods), len(methods)), np.nan)
    errors = shares.copy()
    for period, by_method in samples.items():
        present = [number for number, name in enumerate(methods) if name in by_method]
        merged = [sample_of(*by_method[methods[number]]) for number in present]
        places = np.ix_([period], present, present)
        found, error = overlaps(merged)
        shares[places], errors[places] = found[None], error[None]
    return shares, errors
