"""What a study's methods trained on: the share of a provenance domain over training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import style as mpl_style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from rich.table import Table
from rich.text import Text

from benchmark.core.errors import unknown
from benchmark.core.files import write_atomically
from benchmark.core.randomness import derived_key
from benchmark.methods.source import Style
from benchmark.report.compare.frontier import draw_frontier, frontier_frame
from benchmark.report.figures.panels import legend_beside, method_handle
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import (
    GREY,
    RC,
    in_order,
    method_styles,
    shortened,
    wrapped,
)
from benchmark.report.results.inputs import load_results
from benchmark.report.tables.rendering import code_markdown, escape_markdown, markdown_rows
from benchmark.study.frames import metrics_frame
from benchmark.study.metrics import DOMAIN_SEEN, DOMAIN_SHARE
from benchmark.study.records import RunRecord, load_records, read_index

RUN = ["model", "target", "method", "seed"]
LAST_PART = 0.25
TICKS = (0, 1, 2, 5, 10, 20, 50)


def selection_frame(results: Path, domain: str) -> pd.DataFrame:
    """How often each run trained on rows of ``domain``: a row for each run and evaluation.

    ``share``: of the generic rows trained on since the evaluation before, those of the domain
    (precision); ``enrichment``: that over the domain's share of the corpus; ``seen``: share of
    the domain's rows trained on so far (recall); ``progress``: share of the steps made.

    Raises:
        UserError: no run has such a domain.
    """
    base = pd.DataFrame([_base_rate(record, domain) for record in load_records(results)])
    metrics = metrics_frame(results)
    names = (DOMAIN_SHARE + domain, DOMAIN_SEEN + domain)
    trained = metrics[(metrics["stage"] == "trained") & metrics[names[0]].notna()]
    frame = trained[[*RUN, "step", *names]].merge(base, on=RUN)
    frame = frame.rename(columns=dict(zip(names, ("share", "seen"), strict=True)))
    frame["enrichment"] = frame["share"] / frame["base_rate"]
    frame["progress"] = frame["step"] / frame.groupby(RUN)["step"].transform("max")
    return frame


def selection_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Per (model, target, method): mean over seeds of the last quarter's share and enrichment, of
    the highest enrichment on the way, and of the share of the domain's rows seen at the end.
    """
    runs: pd.DataFrame = _last_part(frame)[["base_rate", "share", "enrichment"]].mean()
    whole = frame.groupby(RUN, sort=False)
    runs["highest_enrichment"] = whole["enrichment"].max()
    runs["seen"] = whole["seen"].max()
    means: pd.DataFrame = runs.groupby(RUN[:-1], sort=False).mean().reset_index()
    return means


def _last_part(frame: pd.DataFrame) -> Any:
    return frame[frame["progress"] > 1 - LAST_PART].groupby(RUN, sort=False)


def _lifts(frame: pd.DataFrame) -> pd.DataFrame:
    """Each run's enrichment over the last quarter."""
    lifts: pd.DataFrame = _last_part(frame)["enrichment"].mean().rename("lift").reset_index()
    return lifts


def write_selection(results: Path, domain: str) -> list[Path]:
    """Write ``selection-DOMAIN`` as CSV, Markdown and figures into a study's results folder."""
    frame = selection_frame(results, domain)
    summary = selection_summary(frame)
    table, text = (results / f"{_stem(domain)}.{ending}" for ending in ("csv", "md"))
    write_atomically(table, summary.to_csv(index=False, float_format="%.6g"))
    write_atomically(text, _markdown(summary, domain, results))
    figures = _draw(frame, domain, results)
    loaded = load_results(results)
    frontier = frontier_frame(loaded, _lifts(frame))
    stem = _stem(domain, "frontier")
    return [
        table,
        text,
        *figures,
        *draw_frontier(loaded, frontier, shortened(domain), results, stem),
    ]


def _stem(domain: str, what: str = "selection") -> str:
    """The name of a domain's files, which no sign of the domain's leads out of the folder.

    What is left out of a name is told apart by a hash of all of it.
    """
    plain = re.sub(r"[^\w.+-]+", "_", domain)[:60]
    told_apart = "" if plain == domain else f"-{derived_key('selection', domain):016x}"[:9]
    return f"{what}-{plain}{told_apart}"


def selection_table(results: Path, domain: str) -> Table:
    """The summary for the terminal."""
    table = Table(*_HEAD, title=Text(f"rows of domain {domain} among those trained on"))
    for row in _cells(selection_summary(selection_frame(results, domain))):
        table.add_row(*map(Text, row))
    return table


_HEAD = ("target", "method", "share in last quarter", "times base", "highest", "domain seen")


def _cells(summary: pd.DataFrame) -> list[tuple[str, ...]]:
    return [
        (
            f"{row.target}",
            f"{row.method}",
            f"{row.share:.1%}",
            f"{row.enrichment:.1f}x",
            f"{row.highest_enrichment:.1f}x",
            f"{row.seen:.1%}",
        )
        for row in summary.itertuples()
    ]


def _markdown(summary: pd.DataFrame, domain: str, results: Path) -> str:
    rows = markdown_rows(_HEAD, _cells(summary), names=2)
    study = read_index(results).study
    rule = (
        f"Share of rows of domain {code_markdown(domain)} among the generic rows trained on "
        f"(precision), over the last quarter of {study.training.steps} steps; times its share of "
        f"the corpus, {summary['base_rate'].mean():.2%}; the highest of all evaluations; and the "
        "share of its rows trained on at least once (recall). "
        f"Seeds: {', '.join(map(str, study.seeds))}."
    )
    title = escape_markdown(f"{study.study}: who trains on {domain}")
    return "\n".join([f"# {title}", "", *rows, "", rule, ""])


def _draw(frame: pd.DataFrame, domain: str, results: Path) -> list[Path]:
    styles = method_styles(list(dict.fromkeys(frame["method"])))
    pairs = list(dict.fromkeys(frame[["model", "target"]].itertuples(index=False, name=None)))
    with mpl_style.context(["default", RC]):
        figure = Figure(figsize=(7.5, 3.8 * len(pairs)))
        panels = figure.subplots(len(pairs), squeeze=False)[:, 0]
        for axes, pair in zip(panels, pairs, strict=True):
            here = frame[(frame["model"] == pair[0]) & (frame["target"] == pair[1])]
            _draw_pair(axes, here, styles)
            axes.set(xlabel="training step")
            axes.set_ylabel(wrapped(f"{shortened(domain)} rows, times base rate", 40))
            axes.set_title(wrapped(f"{pair[1]} ({pair[0]})", 60), loc="left")
        shown = in_order(styles, frame["method"])
        legend_beside(figure, [method_handle(name, styles[name], line=True) for name in shown])
        return publish(figure, results, _stem(domain))


def _draw_pair(axes: Axes, frame: pd.DataFrame, styles: dict[str, Style]) -> None:
    for method, runs in frame.groupby("method", sort=False):
        mean = runs.groupby("step")["enrichment"].mean()
        style = styles[str(method)]
        axes.plot(
            mean.index,
            mean,
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
        )
    axes.axhline(1, color=GREY, linestyle="--", linewidth=1)
    # Linear below 1, so that a method that avoids the domain can be shown too.
    axes.set_yscale("symlog", linthresh=1, linscale=0.5)
    axes.set_ylim(bottom=0)
    axes.set_yticks(TICKS, labels=[str(tick) for tick in TICKS])
    axes.yaxis.set_minor_locator(NullLocator())


def _base_rate(record: RunRecord, domain: str) -> dict[str, object]:
    sizes = record.data["domain_rows"]
    if domain not in sizes:
        raise unknown("domain", domain, sizes)
    spec = record.spec
    return {
        "model": spec.model_name,
        "target": spec.target_name,
        "method": spec.method.label,
        "seed": spec.seed,
        "base_rate": sizes[domain] / sum(sizes.values()),
    }
