"""How every figure looks: one colour and marker a method, robust limits, readable axes."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    Locator,
    LogLocator,
    NullLocator,
)

from benchmark.core.randomness import derived_key
from benchmark.methods.source import LINES, MARKERS, Style, declared_styles
from benchmark.report.figures.fonts import FAMILY, drawable

# Okabe and Ito's colour-blind safe colours; their yellow is too faint on white and left out.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#0072B2", "#CC79A7", "#7F7F7F")
GREY = "#555555"
RC = {
    "font.family": FAMILY,
    "font.size": 9,
    # A dollar sign in somebody's name is no mathematics; where a formula is meant, it is said.
    "text.parse_math": False,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 5.5,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
    "pdf.fonttype": 42,
}


def method_styles(methods: Sequence[str]) -> dict[str, Style]:
    """The style of each method: what it declares, else one that depends on its name alone.

    Where two would look the same, the one that comes later by name takes the next style.
    """
    declared = declared_styles()
    styles = {name: declared[name] for name in methods if name in declared}
    for name in sorted(set(methods) - styles.keys()):
        number = derived_key("style", name)
        while (style := _style(number)) in styles.values():
            number += 1
        styles[name] = style
    return {name: styles[name] for name in methods}


def _style(number: int) -> Style:
    marker, rest = number % len(MARKERS), number // len(MARKERS)
    colour, line = rest % len(COLOURS), rest // len(COLOURS) % len(LINES)
    return Style(COLOURS[colour], MARKERS[marker], LINES[line])


def upper_limit(values: Iterable[float]) -> tuple[float, bool]:
    """Where an axis of losses may end so that most values stay readable, and if it cuts any.

    Left out is a value that is not finite, or further above the third quartile than both one and
    a half times the range of the lower three quarters and a fifth of the quartile itself.
    """
    everything = np.asarray(list(values), dtype=float)
    finite = everything[np.isfinite(everything)]
    if finite.size == 0:
        return math.nan, bool(everything.size)
    lowest, third = finite.min(), np.quantile(finite, 0.75, method="lower")
    fence = third + max(1.5 * (third - lowest), 0.2 * third)
    limit = float(finite[finite <= fence].max())
    return limit, bool((everything > limit).any() or finite.size < everything.size)


def power_of_thousand(values: Iterable[float]) -> int:
    """The exponent of 10 in whose unit these positive values read best, a multiple of 3."""
    largest = max((value for value in values if math.isfinite(value)), default=1.0)
    return 3 * math.floor(math.log10(largest) / 3) if largest > 0 else 0


def label_flops(axes: Axes, words: str, exponent: int) -> None:
    """Show FLOPs on the x axis in units of 10^exponent, which the label states."""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 10.0**exponent:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"{words} ($10^{{{exponent}}}$ FLOPs)" if exponent else f"{words} (FLOPs)")
    axes.xaxis.label.set_parse_math(True)


def label_plainly(axes: Axes, words: str) -> None:
    """Show the numbers of a logarithmic x axis as they are, and these words below."""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(words)


def use_log_axis(axes: Axes, values: Iterable[float]) -> None:
    """A logarithmic x axis around these positive values with few, round ticks."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    if not positive:
        return
    low, high = min(positive) / 1.25, max(positive) * 1.25
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(_log_locator(low, high))


def _log_locator(low: float, high: float) -> Locator:
    if high / low < 20:
        first = 10.0 ** math.floor(math.log10(low))
        subs = (1, 1.5, 2, 3, 4, 6) if high / low < 5 else (1, 2, 3, 5)
        ticks = [first * power * sub for power in (1, 10, 100) for sub in subs]
        return FixedLocator([tick for tick in ticks if low <= tick <= high])
    return LogLocator(subs=(1.0, 3.0) if high / low < 1000 else (1.0,), numticks=6)


def wrapped(name: str, width: int = 24) -> str:
    """A long name on several lines, broken after underscores where there are any.

    Characters that no installed font has become their code numbers.
    """
    name = drawable(" ".join(name.split()))
    spaced = textwrap.wrap(_spread(name).replace("_", "_ "), width)
    return "\n".join(line.replace("_ ", "_").replace(FILLER, "") for line in spaced)


def shortened(name: str, longest: int = 72) -> str:
    """A name without its middle where it is longer than a legend has room for."""
    if len(name) <= longest:
        return name
    half = (longest - 3) // 2
    return f"{name[:half]}...{name[-half:]}"


def columns_of(line: str) -> int:
    """How many columns a line takes where a Latin letter takes one and a Chinese sign two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


FILLER = "\ue000"
"""Stands after a wide sign while lines are broken, so that it counts as two."""


def _spread(name: str) -> str:
    return "".join(c + FILLER * (columns_of(c) - 1) for c in name)


def in_order(styles: Mapping[str, Style], names: Iterable[str]) -> list[str]:
    """Those of ``names`` that have a style, in the order of the styles."""
    present = set(names)
    return [name for name in styles if name in present]
