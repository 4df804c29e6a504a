"""Curves in, one number for each target and method out: as trained, and at equal training time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.report.paper.reference import Reference
from benchmark.report.paper.rule import Rule
from benchmark.report.results.inputs import REFERENCE
from benchmark.report.statistics.estimates import Array

PAIR = ["target", "method"]
SECONDS_AN_HOUR = 3600.0


def as_trained(reference: Reference, rule: Rule) -> pd.DataFrame:
    """A row for each (target, method): ``run_id``, ``step``, ``seconds``, ``target_loss`` and
    ``generic_loss`` (nats a byte), ``perplexity`` (a byte) and ``runs``, how many there are.

    Of several runs, the one with the lowest target loss under the rule is taken.
    """
    curves = reference.curves.groupby("run_id", sort=False)
    rows = curves.tail(1) if rule is Rule.last else _rows_of_minima(reference.curves)
    frame = _lowest_of_runs(rows)
    frame["perplexity"] = np.exp(frame["target_loss"])
    return frame


def at_equal_time(reference: Reference, rule: Rule, hours: float | None) -> pd.DataFrame:
    """The target loss that each method has when a budget of training time ends.

    The budget of every target is ``hours``, or what pretraining takes there from its first to its
    last step. Taken is the last step logged by then: between two, a run may have done something
    else than train (CDS scores the corpus for hours), so that there is nothing to interpolate. A
    row for each (target, method): ``run_id``, ``budget`` (hours), ``step``, ``target_loss`` (nats
    a byte; NaN if nothing is logged yet), ``ended`` (whether the run ends before the budget does)
    and ``runs``.
    """
    curves = reference.curves
    own = curves[curves["method"] == REFERENCE].groupby("target")["seconds"].max().to_dict()
    rows = []
    for (target, method, run_id), curve in curves.groupby([*PAIR, "run_id"], sort=False):
        budget = own[target] if hours is None else hours * SECONDS_AN_HOUR
        made = curve[curve["seconds"] <= budget]
        losses = made["target_loss"]
        rows.append(
            {
                "target": target,
                "method": method,
                "run_id": run_id,
                "budget": budget / SECONDS_AN_HOUR,
                "step": made["step"].max(),
                "target_loss": losses.min() if rule is Rule.best else losses.tail(1).max(),
                "ended": bool(curve["seconds"].max() < budget),
            }
        )
    return _lowest_of_runs(pd.DataFrame(rows))


def value_matrix(
    frame: pd.DataFrame, methods: list[str], targets: list[str], value: str = "target_loss"
) -> Array:
    """A column of such rows in the shape (methods, targets), NaN where there is none."""
    table = frame.pivot_table(index="method", columns="target", values=value)
    return table.reindex(index=methods, columns=targets).to_numpy(dtype=float)


def _rows_of_minima(curves: pd.DataFrame) -> pd.DataFrame:
    return curves.loc[curves.groupby("run_id", sort=False)["target_loss"].idxmin()]


def _lowest_of_runs(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each (target, method), and the number of its runs."""
    counted = rows.assign(runs=rows.groupby(PAIR)["run_id"].transform("size"))
    lowest = counted.sort_values("target_loss", kind="stable").groupby(PAIR).head(1)
    return lowest.sort_values(PAIR, kind="stable").reset_index(drop=True)
