"""What each method trained on, and how sharply it chose, over training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.report.figures.panels import LeftOutError, collapse_handles, of_pair, pair_name
from benchmark.report.figures.stacked import Cell, bands_legend, cells_figure
from benchmark.report.figures.style import in_order, method_styles
from benchmark.report.results.collapse import collapsed_places
from benchmark.report.results.domains import band_colours, domain_colours, domains_by_share
from benchmark.report.results.inputs import StudyResults
from benchmark.report.statistics.estimates import Array
from benchmark.study.collapse import MARK
from benchmark.study.metrics import DOMAIN_SHARE, WEIGHTS_ENTROPY
from benchmark.study.records import RunRecord
from benchmark.study.stages import STAGES

RUN = ["model", "target", "method", "seed"]
CORPUS = "the corpus"


def selection_figure(results: StudyResults) -> Figure:
    """A row for each (model, target), a cell for each method: means over seeds.

    Bands are the shares of provenance domains among the generic rows trained on. The line is the
    effective share of the rows that a selector weighs, exp(entropy of the weights) over their
    number: 100% if all weigh the same.

    Raises:
        LeftOutError: no run has recorded domains.
    """
    measured = results.measured[results.measured["stage"] == STAGES[0]]
    domains = domains_by_share(measured)
    if not domains:
        raise LeftOutError("no run has recorded the domains of the rows that it trained on")
    names = [DOMAIN_SHARE + name for name in domains]
    measured = measured.dropna(subset=names, how="all")
    runs = measured[[*RUN, "step", *names]].copy()
    runs["effective"] = _effective_shares(measured, results.records)
    methods = in_order(method_styles(results.methods), results.stages["method"])
    grouped = runs.groupby([*RUN[:-1], "step"], sort=False)
    means = grouped[[*names, "effective"]].mean().reset_index()
    collapsed = collapsed_places(results)
    cells = {
        pair_name(results, *pair): [
            _corpus_cell(results.records, pair, names),
            *(
                _cell(of_pair(means, *pair), method, names, MARK * ((*pair, method) in collapsed))
                for method in methods
            ),
        ]
        for pair in results.pairs
    }
    labels = (
        "share of the generic rows trained on",
        "in each cell from the first step to the last",
    )
    figure = cells_figure(cells, [CORPUS, *methods], labels)
    marks = collapse_handles(bool(collapsed))
    bands_legend(figure, domain_colours(domains), [*_effective_handle(means), *marks])
    return figure


def _effective_shares(measured: pd.DataFrame, records: tuple[RunRecord, ...]) -> Array:
    if WEIGHTS_ENTROPY not in measured.columns:
        return np.full(len(measured), np.nan)
    weighed = {_run(record): _rows_weighed(record) for record in records}
    rows = [weighed[run] for run in measured[RUN].itertuples(index=False, name=None)]
    entropies = np.exp(measured[WEIGHTS_ENTROPY].to_numpy(dtype=float))
    shares: Array = entropies / np.array(rows)
    return shares


def _run(record: RunRecord) -> tuple[str, str, str, int]:
    spec = record.spec
    return spec.model_name, spec.target_name, spec.method.label, spec.seed


def _rows_weighed(record: RunRecord) -> int:
    """Rows that a selector weighs at a step: so many batches, or all that the study offers."""
    return record.spec.training.rows_scored(record.spec.method.hyperparameters)


def _corpus_cell(
    records: tuple[RunRecord, ...], pair: tuple[str, str], names: list[str]
) -> Cell | None:
    """What training on rows as they come would show."""
    for record in records:
        sizes = record.data.get("domain_rows")
        if sizes and _run(record)[:2] == pair:
            rows = np.array(
                [sizes.get(name.removeprefix(DOMAIN_SHARE), 0) for name in names], dtype=float
            )
            return Cell(np.ones(1), rows[None] / rows.sum(), band_colours(len(names)))
    return None


def _cell(means: pd.DataFrame, method: str, names: list[str], mark: str) -> Cell | None:
    course = means[means["method"] == method].sort_values("step")
    if course.empty:
        return None
    return Cell(
        progress=course["step"].to_numpy(dtype=float) / course["step"].max(),
        shares=course[names].fillna(0.0).to_numpy(dtype=float),
        colours=band_colours(len(names)),
        line=None if course["effective"].isna().all() else course["effective"].to_numpy(),
        mark=mark,
    )


def _effective_handle(means: pd.DataFrame) -> list[Line2D]:
    if means["effective"].isna().all():
        return []
    label = "effective share of\nthe rows weighed"
    return [Line2D([], [], color="black", linewidth=1.2, label=label)]
