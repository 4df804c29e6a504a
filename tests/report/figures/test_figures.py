"""Figures: both formats, the same bytes again, and nothing clipped or overlapping."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib.style
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from benchmark.core.errors import UserError
from benchmark.methods.source import declared_styles
from benchmark.report.figures.panels import LeftOutError
from benchmark.report.figures.style import RC, method_styles, upper_limit
from benchmark.report.figures.write import FIGURES, write_figures
from benchmark.report.results.inputs import load_results

Build = Callable[..., Path]
LONG = "a_rather_long_name_of_a_method_by_somebody"
OURS = sorted(declared_styles())
TWELVE = (*OURS[:10], LONG, "pretraining")
LONGEST = [
    f"{'_' * (number % 3)}WWW_method_by_somebody_else_and_others_of_many_vari_{number:02d}"
    for number in range(16)
]
CASES: dict[str, dict[str, Any]] = {
    "one seed": {},
    "three seeds, failed and pending": {
        "seeds": (0, 1, 2),
        "failed": [("awsdocs", "dds", seed) for seed in (0, 1, 2)],
        "pending": [("gutenberg", "random", 1)],
    },
    "five seeds, failed and pending": {
        "seeds": range(5),
        "failed": [("awsdocs", "dds", seed) for seed in (0, 1, 2)],
        "pending": [("gutenberg", "random", 1)],
    },
    "twelve methods and long names": {
        "methods": TWELVE,
        "targets": ("awsdocs", "a_target_with_quite_a_long_name_of_its_own_v2", "law"),
    },
    "sixteen of the longest names": {
        "methods": [f"{name}=random" for name in LONGEST],
        "targets": ("awsdocs", "__a_target_W" + "_x" * 24),
    },
    "four sizes": {"models": ("mini", "small", "medium", "large"), "methods": TWELVE[-5:]},
    "two sizes and long names": {"models": ("mini", "large"), "methods": TWELVE},
    "one run": {"methods": ("random",), "targets": ("awsdocs",)},
    "all failed": {
        "methods": ("random",),
        "targets": ("awsdocs",),
        "failed": [("awsdocs", "random", 0)],
    },
}

LEFT_OUT: dict[str, set[str]] = {
    "one seed": {"weights", "scaling"},
    "three seeds, failed and pending": {"weights", "scaling"},
    "five seeds, failed and pending": {"weights", "scaling"},
    "twelve methods and long names": {"scaling"},
    "sixteen of the longest names": {"weights", "scaling"},
    "four sizes": {"weights"},
    "two sizes and long names": set(),
    "one run": {"profiles", "overlap", "weights", "scaling"},
    "all failed": {"profiles", "overlap", "weights", "scaling"},
}


def drawn(name: str, results: Path) -> Figure | None:
    """A figure, laid out; None if the records do not allow it."""
    with matplotlib.style.context(["default", RC]):
        try:
            figure = FIGURES[name](load_results(results))
        except LeftOutError:
            return None
        FigureCanvasAgg(figure).draw()
        return figure


def visible_texts(figure: Figure) -> Iterator[tuple[Text, Bbox]]:
    """Texts that can be seen and their boxes; ticks outside an axis' range are not drawn."""
    undrawn = set()
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted(limits)
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            undrawn |= {tick.label1 for tick in ticks if not low <= tick.get_loc() <= high}
            undrawn |= {tick.label2 for tick in ticks}
    for text in figure.findobj(Text):
        if text.get_text() and text.get_visible() and text not in undrawn:
            yield text, text.get_window_extent()


@pytest.mark.long
@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("case", CASES)
def test_no_text_is_clipped_or_overlaps_another(build: Build, case: str, name: str) -> None:
    figure = drawn(name, build(**CASES[case]))
    if figure is None:
        assert name in LEFT_OUT[case]
        return
    texts = list(visible_texts(figure))
    canvas = figure.bbox.padded(0.5)
    outside = [
        text.get_text()
        for text, box in texts
        if not (canvas.contains(*box.min) and canvas.contains(*box.max))
    ]
    assert outside == []
    overlapping = [
        (one.get_text(), other.get_text())
        for (one, box), (other, second) in combinations(texts, 2)
        if Bbox.intersection(box.padded(-1), second.padded(-1)) is not None
    ]
    assert overlapping == []


@pytest.mark.long
def test_each_figure_is_written_in_both_formats_and_the_same_again(build: Build) -> None:
    results = build(methods=("random", "doge"), models=("mini", "small"))
    files, left_out = write_figures(results)
    before = {file: file.read_bytes() for file in files}
    names = {f"{name}.{ending}" for name in FIGURES for ending in ("png", "pdf")}
    assert {file.name for file in before} == names
    assert left_out == []
    assert {file.name for file in (results / "figures").iterdir()} == names
    write_figures(results)
    assert {file: file.read_bytes() for file in files} == before
    for file, content in before.items():
        assert content.startswith(b"\x89PNG" if file.suffix == ".png" else b"%PDF")
        if file.suffix == ".pdf":
            assert b"/Type3" not in content
            assert b"CreationDate" not in content


def test_the_final_figure_has_a_point_for_each_seed_and_stage(build: Build) -> None:
    figure = drawn("final", build(seeds=(0, 1, 2), methods=("random", "mixing")))
    assert figure is not None
    points = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in points) == 3 * 2 * 2
    hollow = [line for line in points if line.get_markerfacecolor() == "white"]
    assert sum(len(line.get_xdata()) for line in hollow) == 3 * 2


def test_the_cost_figure_begins_with_all_pairs_over_the_reference(build: Build) -> None:
    results = build(methods=("pretraining", "mixing"), pending=[("gutenberg", "mixing", 0)])
    figure = drawn("cost", results)
    assert figure is not None
    assert len(figure.axes) == 2 * (1 + 2)
    points = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "None"]
    found = {tuple(*zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in points}
    # Mixing has no result on one of the two targets, and is not in means over both.
    assert len(found) == 2
    assert (1.0, 1.0) in found


def test_a_stage_of_a_profile_rises_to_all_targets_for_who_is_best_on_all(build: Build) -> None:
    losses = {("awsdocs", "mixing", 0): (2.0, 1.9), ("gutenberg", "mixing", 0): (2.0, 1.9)}
    losses |= {("awsdocs", "random", 0): (2.2, 1.9), ("gutenberg", "random", 0): (2.1, 2.0)}
    figure = drawn("profiles", build(methods=("mixing", "random"), test_losses=losses))
    assert figure is not None
    best, other = figure.axes[0].get_lines()
    assert best.get_ydata().tolist() == [1.0] * 4
    assert other.get_xdata()[:3].tolist() == pytest.approx([1.0, 1.05, 1.1])
    assert other.get_ydata().tolist() == [0.0, 0.5, 1.0, 1.0]


def test_old_records_without_samples_leave_the_overlap_out_and_say_why(build: Build) -> None:
    results = build(targets=("awsdocs",), methods=("random", "dds"))
    for file in results.glob("runs/*/metrics.jsonl"):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            line.pop("sampled_rows", None)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    files, left_out = write_figures(results, ["overlap", "selection"])
    assert {file.stem for file in files} == {"selection"}
    (line,) = left_out
    assert line.startswith("figure overlap left out: needs samples of the rows trained on")


def test_an_unknown_figure_is_refused(build: Build) -> None:
    results = build(targets=("awsdocs",), methods=("random",))
    with pytest.raises(UserError, match=r"--figure: unknown figure 'costs' \(did you mean 'cost'"):
        write_figures(results, ["costs"])


def test_a_diverging_method_is_cut_and_named(build: Build) -> None:
    figure = drawn("curves", build())
    assert figure is not None
    axes = figure.axes[0]
    assert axes.get_ylim()[1] < 4.5
    assert "above the axis: target_only" in [text.get_text() for text in axes.texts]


def test_styles_depend_on_the_name_and_differ() -> None:
    few, many = method_styles(["dds", "mine"]), method_styles([*OURS, "mine", "other"])
    assert few["dds"] == many["dds"]
    assert few["mine"] == many["mine"]
    assert len(set(many.values())) == len(many)


def test_styles_stay_apart_for_any_number_of_methods() -> None:
    names = [f"method_{number}" for number in range(100)]
    styles = method_styles(names)
    assert len(set(styles.values())) == len(names)
    assert method_styles(names[::-1]) == styles


def test_upper_limit_leaves_out_what_is_far_off_or_not_finite() -> None:
    assert upper_limit([2.0, 2.1, 2.2, 2.3]) == (2.3, False)
    assert upper_limit([2.0, 2.1, 2.2, 2.3, 9.0]) == (2.3, True)
    assert upper_limit([2.0, 2.3]) == (2.3, False)
    assert upper_limit([2.0, 2.1, float("nan")]) == (2.1, True)


def test_without_records_the_error_says_what_to_do(build: Build) -> None:
    pending = [("awsdocs", "random", 0)]
    results = build(targets=("awsdocs",), methods=("random",), pending=pending)
    with pytest.raises(UserError, match="has ended"):
        write_figures(results)
