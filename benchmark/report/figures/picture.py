"""A figure as files: PNG and PDF, the same bytes for the same figure."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmark.core.files import replacing
from benchmark.report.figures.fonts import dress, take_replaced, warn_of_replaced

# Without what would differ from one making to the next, or from one machine to the next.
FORMATS: dict[str, dict[str, Any]] = {
    "png": {"metadata": {"Software": None}},
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
}


def encode(figure: Figure, formats: Iterable[str] = FORMATS) -> dict[str, bytes]:
    """The content of a figure's file in each format; its layout is found once, for all."""
    engine = figure.get_layout_engine()
    if engine is not None:
        with warnings.catch_warnings():
            # Names get their fonts once the labels of ticks are there, so after a first layout.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            engine.execute(figure)
        if dress(figure):
            engine.execute(figure)
        figure.set_layout_engine("none")
    contents = {}
    for ending in formats:
        stream = BytesIO()
        figure.savefig(stream, format=ending, **FORMATS[ending])
        contents[ending] = stream.getvalue()
    return contents


def publish(figure: Figure, results: Path, name: str) -> list[Path]:
    """Save a figure as PNG and PDF under ``results/figures``.

    Raises:
        UserError: the folder cannot be written.
    """
    contents = encode(figure)
    warn_of_replaced(take_replaced())
    return write(contents, results, name)


def write(contents: dict[str, bytes], results: Path, name: str) -> list[Path]:
    """Write a figure's encoded contents under ``results/figures``.

    Raises:
        UserError: the folder cannot be written.
    """
    files = []
    for ending, content in contents.items():
        files.append(results / "figures" / f"{name}.{ending}")
        with replacing(files[-1]) as stream:
            stream.write(content)
    return files
