"""A comparison of two methods in words and as a table of points, and its files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib import style as mpl_style
from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchmark.core.files import write_atomically
from benchmark.report.compare.comparison import (
    LEVEL,
    TESTABLE,
    Comparison,
    StageComparison,
    pair_name,
)
from benchmark.report.compare.figure import comparison_figure
from benchmark.report.figures.picture import publish
from benchmark.report.figures.style import RC
from benchmark.report.results.inputs import StudyResults
from benchmark.report.results.rules import equal_steps_rule
from benchmark.report.tables.rendering import escape_markdown, markdown_rows
from benchmark.study.stages import STAGE_NAMES

FEW_SEEDS = 3
"""With so many seeds or fewer, every point is shown."""
NAMED_PAIRS = 6
CAPITAL = {stage: name[0].upper() + name[1:] for stage, name in STAGE_NAMES.items()}


def write_comparison(comparison: Comparison, results: StudyResults, folder: Path) -> list[Path]:
    """Write ``compare-A-B`` as Markdown and its figure into a study's results folder.

    Raises:
        UserError: the folder cannot be written.
    """
    name = f"compare-{comparison.a}-{comparison.b}"
    file = folder / f"{name}.md"
    write_atomically(file, _markdown(comparison, results))
    with mpl_style.context(["default", RC]):
        return [file, *publish(comparison_figure(comparison, results), folder, name)]


def terminal_comparison(comparison: Comparison, results: StudyResults) -> Group:
    """The paragraph and its points, for ``rich.console.Console.print``."""
    head, rows = points(comparison, results)
    table = Table(box=None, pad_edge=False)
    for name in head:
        table.add_column(Text(name), justify="left" if name in {"stage", "pair"} else "right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return Group(Text(paragraph(comparison, results)), Text(""), table)


def _markdown(comparison: Comparison, results: StudyResults) -> str:
    head, rows = points(comparison, results)
    a, b = comparison.a, comparison.b
    lines = [
        f"# {escape_markdown(f'{results.study.study}: {a} against {b}')}",
        "",
        escape_markdown(paragraph(comparison, results)),
        "",
        *markdown_rows(head, rows, names=2),
        "",
        f"![{escape_markdown(f'test loss of {a} over that of {b}')}]"
        f"(figures/compare-{comparison.a}-{comparison.b}.png)",
        "",
    ]
    return "\n".join(lines)


def paragraph(comparison: Comparison, results: StudyResults) -> str:
    """The answer for each stage, what it rests on, and the rule that chose the numbers."""
    a, b = comparison.a, comparison.b
    answers = " ".join(f"{CAPITAL[stage.stage]}: {_answer(stage)}." for stage in comparison.stages)
    parts = [f"Is {a} better than {b} in study {results.study.study}? {answers}"]
    parts += [_evidence(stage, comparison, results) for stage in comparison.stages]
    parts.append(
        f"Compared are runs of the same seed ({', '.join(map(str, results.study.seeds))}), at "
        f"equal steps. {equal_steps_rule(results.stages)}."
    )
    return " ".join(parts)


def points(
    comparison: Comparison, results: StudyResults
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Column names, and a row for each stage, pair and seed (with few seeds) or pair (else)."""
    a, b = comparison.a, comparison.b
    few = len(results.study.seeds) <= FEW_SEEDS
    head = ("stage", "pair", "seed" if few else "seeds", a, b, f"{a} over {b}")
    rows = []
    for stage in comparison.stages:
        for number, pair in enumerate(stage.pairs):
            where = (STAGE_NAMES[stage.stage], pair_name(pair, results))
            cells = _every_seed(stage, number) if few else [_over_seeds(stage, number)]
            rows += [(*where, *cell) for cell in cells]
    return head, rows


def change(log_ratio: float) -> str:
    """A log ratio of losses in percent, with its sign: how much more or less A's loss is."""
    return f"{100 * math.expm1(log_ratio):+.2f}%"


def _answer(stage: StageComparison) -> str:
    if stage.certainty == "undecided":
        return "undecided"
    sure = {"better": "yes", "worse": "no, worse"}[stage.certainty]
    if stage.kind == "seeds":
        return f"{sure} on the targets tried"
    return sure if stage.p is not None else f"{sure} by the interval, on few targets"


def _evidence(stage: StageComparison, comparison: Comparison, results: StudyResults) -> str:
    a, b = comparison.a, comparison.b
    count, wins = len(stage.pairs), int((stage.by_pair < 0).sum())
    units = _units(count, results)
    sentences = [
        f"{CAPITAL[stage.stage]}, the test loss of {a} is {_amount(stage.mean)} that of {b} "
        f"(geometric mean over {count} {units}; {_interval_words(stage, results)}). It is lower "
        f"on {wins} of {count}: {_by_pair(stage, results)}.",
        f"A run of {a} is better than one of {b} on the same {_units(1, results)} with "
        f"probability {stage.improvement:.2f}, by the runs made.",
        _test_words(stage, results),
        *_left_out(stage, comparison, results),
    ]
    return " ".join(sentences)


def _amount(log_ratio: float) -> str:
    percent = 100 * math.expm1(log_ratio)
    if f"{abs(percent):.2f}" == "0.00":
        return "within 0.01% of"
    return f"{abs(percent):.2f}% {'below' if percent < 0 else 'above'}"


def _interval_words(stage: StageComparison, results: StudyResults) -> str:
    if stage.interval is None:
        return (
            f"no interval: {len(stage.pairs)} {_units(len(stage.pairs), results)} with "
            f"{len(stage.seeds)} seed{'s' if len(stage.seeds) > 1 else ''} bound nothing"
        )
    bounds = f"{change(float(stage.interval.low))} to {change(float(stage.interval.high))}"
    what = {
        "targets": f"95% interval for other targets like these {bounds}: bootstrap over pairs",
        "seeds": f"95% interval for other seeds on the same targets {bounds}: bootstrap over "
        "seeds, as there are too few pairs to speak of other targets",
    }
    return what[stage.kind]


def _by_pair(stage: StageComparison, results: StudyResults) -> str:
    changes = stage.by_pair
    if len(changes) <= NAMED_PAIRS:
        named = zip(stage.pairs, changes, strict=True)
        return ", ".join(f"{pair_name(pair, results)} {change(value)}" for pair, value in named)
    least, most = int(np.argmin(changes)), int(np.argmax(changes))
    first, last = (pair_name(stage.pairs[place], results) for place in (least, most))
    return f"from {change(changes[least])} ({first}) to {change(changes[most])} ({last})"


def _test_words(stage: StageComparison, results: StudyResults) -> str:
    count = len(stage.pairs)
    if stage.p is None:
        return (
            f"{count} {_units(count, results)} are too few for any significance by Wilcoxon's "
            f"signed-rank test: it takes {TESTABLE} to reach p < {LEVEL}."
            if count > 1
            else f"One {_units(1, results)} cannot be tested: Wilcoxon's signed-rank test takes "
            f"{TESTABLE} to reach p < {LEVEL}."
        )
    return f"Wilcoxon's signed-rank test over {count} {_units(count, results)}: p = {stage.p:.2g}."


def _left_out(stage: StageComparison, comparison: Comparison, results: StudyResults) -> list[str]:
    everything = len(results.pairs) * len(results.study.seeds)
    missing = everything - int(np.isfinite(stage.ratios).sum())
    if not missing:
        return []
    planned = results.planned
    ours = planned["method"].isin([comparison.a, comparison.b])
    failed = planned[ours & (planned["status"] == "failed")]["method"].value_counts(sort=False)
    why = ", ".join(f"{count} of {method}" for method, count in failed.items())
    because = f"; failed runs: {why}" if why else ""
    return [f"Left out for lack of a result: {missing} of {everything} comparisons{because}."]


def _every_seed(stage: StageComparison, number: int) -> list[tuple[str, ...]]:
    losses = zip(
        stage.seeds, stage.losses[number], stage.others[number], stage.ratios[number], strict=True
    )
    return [
        (str(seed), _loss(ours), _loss(theirs), "-" if math.isnan(ratio) else change(ratio))
        for seed, ours, theirs, ratio in losses
    ]


def _over_seeds(stage: StageComparison, number: int) -> tuple[str, ...]:
    both = np.isfinite(stage.ratios[number])
    ours, theirs = stage.losses[number][both].mean(), stage.others[number][both].mean()
    return (str(int(both.sum())), _loss(ours), _loss(theirs), change(stage.by_pair[number]))


def _loss(loss: float) -> str:
    return "-" if math.isnan(loss) else f"{loss:.3f}"


def _units(count: int, results: StudyResults) -> str:
    name = "target" if len(results.study.models) == 1 else "(model, target) pair"
    return name if count == 1 else f"{name}s"
