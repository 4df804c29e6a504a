"""Everything that a study's tables show, computed once from its records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.report.results.collapse import PLACE, Collapsed, Place, collapsed_places
from benchmark.report.results.inputs import StudyResults, load_results
from benchmark.report.results.measures import RUN, Measure, measures_of
from benchmark.report.results.multipliers import Multipliers, multipliers_of
from benchmark.report.results.summary import GROUP, summarise
from benchmark.report.statistics.pooled import Pooled, compare, compare_pairwise
from benchmark.report.statistics.ties import ties_over_seeds


@dataclass(frozen=True)
class Numbers:
    """``summary``: as of `summarise`, with ``PREFIX_best`` and ``PREFIX_tied`` of each measure
    (the latter empty where it cannot be told) and ``collapsed_seeds``, of how many seeds the
    selection has collapsed; ``rows``, the same by (model, target,
    stage), a row for each method; ``pooled`` and ``pairwise``: what the losses of each measure, by
    its key, say about the methods; ``collapsed``: whose selections have;
    ``multipliers``: of pretraining's cost, None without pretraining.
    """

    results: StudyResults
    measures: tuple[Measure, ...]
    summary: pd.DataFrame
    rows: dict[tuple[str, str, str], list[dict[str, Any]]]
    pooled: dict[str, list[Pooled]]
    pairwise: dict[str, pd.DataFrame]
    collapsed: dict[Place, Collapsed]
    multipliers: Multipliers | None


def load_numbers(folder: Path) -> Numbers:
    """The numbers of a study's results folder.

    Raises:
        UserError: as of `load_results`.
    """
    return make_numbers(load_results(folder))


def make_numbers(results: StudyResults) -> Numbers:
    """Summarise and compare; the same records give the same numbers."""
    measures = measures_of(results)
    methods, baseline = results.methods, results.baseline
    summary = summarise(results.planned, results.stages, results.metrics, results.reference)
    summary = _marked(summary, results, measures)
    collapsed = collapsed_places(results)
    summary["collapsed_seeds"] = _collapsed_seeds(summary, collapsed)
    return Numbers(
        results=results,
        measures=measures,
        summary=summary,
        rows=_by_place(summary, methods),
        pooled={m.key: compare(methods, m.losses, baseline) for m in measures},
        pairwise={m.key: compare_pairwise(methods, m.losses) for m in measures},
        collapsed=collapsed,
        multipliers=multipliers_of(results),
    )


def pooled_frame(numbers: Numbers) -> pd.DataFrame:
    """A row for each (measure, method): what `compare` gives."""
    frames = [
        pd.DataFrame(numbers.pooled[measure.key]).assign(
            measure=measure.key, split=measure.split, reference=numbers.results.baseline
        )
        for measure in numbers.measures
    ]
    return _first(pd.concat(frames), ["measure", "split", "method", "reference"])


def pairwise_frame(numbers: Numbers) -> pd.DataFrame:
    """A row for each (measure, method, other): what `compare_pairwise` gives."""
    frames = [
        numbers.pairwise[measure.key].assign(measure=measure.key, split=measure.split)
        for measure in numbers.measures
    ]
    return _first(pd.concat(frames), ["measure", "split"])


def _marked(
    summary: pd.DataFrame, results: StudyResults, measures: tuple[Measure, ...]
) -> pd.DataFrame:
    """The summary with the best and the tied of each (model, target) and measure."""
    keys = [(m, *pair) for m in results.methods for pair in results.pairs]
    place = pd.MultiIndex.from_tuples(keys, names=RUN[:-1])
    found: dict[str, list[pd.DataFrame]] = {}
    for measure in measures:
        ties = ties_over_seeds(measure.losses)
        frame = pd.DataFrame({"best": ties.best.ravel(), "tied": ties.tied.ravel()}, index=place)
        frame["tied"] = frame["tied"].astype("boolean").where(ties.known.ravel())
        named = frame.add_prefix(f"{measure.prefix}_").assign(stage=measure.stage)
        found.setdefault(measure.prefix, []).append(named.reset_index())
    for frames in found.values():
        summary = summary.merge(pd.concat(frames), on=GROUP, how="left")
    return summary.astype(dict.fromkeys((f"{prefix}_best" for prefix in found), "boolean"))


def _collapsed_seeds(summary: pd.DataFrame, collapsed: dict[Place, Collapsed]) -> pd.Series[int]:
    places = zip(*(summary[name] for name in PLACE), strict=True)
    return pd.Series([len(collapsed[p].rows) if p in collapsed else 0 for p in places])


def _by_place(
    summary: pd.DataFrame, methods: list[str]
) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    place = {method: number for number, method in enumerate(methods)}
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in summary.to_dict("records"):
        named = {str(name): value for name, value in row.items()}
        found.setdefault((named["model"], named["target"], named["stage"]), []).append(named)
    return {key: sorted(rows, key=lambda row: place[row["method"]]) for key, rows in found.items()}


def _first(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    return frame[[*names, *(name for name in frame if name not in names)]]
