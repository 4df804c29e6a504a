"""Rows of images: their pixels, given, and behind them the label, to be predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.data.config import DataConfig
from benchmark.data.task_rows import Column, Readers
from benchmark.data.text import Document, Tally
from benchmark.tasks.images.corpora import READERS
from benchmark.tasks.images.options import ImageOptions, image_options
from benchmark.tasks.images.pictures import Picture, fitted
from benchmark.tasks.images.sources import (
    folder_notes,
    folders_fingerprint,
    read_folders,
    read_images,
)

Integers = npt.NDArray[np.integer[Any]]
BRIGHTEST = 255
ROWS_VERSION = 1


class ImageEncoder:
    """Pixels from 0 to 255, channel by channel, row by row; then the label's number from 1."""

    name = "pixels"
    too_short = ""
    nothing = (
        "no image has the size of data.options.size and a label of data.options.labels: correct "
        "them, or set data.options.resize"
    )

    def __init__(self, options: ImageOptions, tally: Tally) -> None:
        self._options, self._tally = options, tally
        self._numbers = {label: number for number, label in enumerate(options.labels, start=1)}
        self.vocabulary_size = len(options.labels) + 1
        self.largest = max(BRIGHTEST, len(options.labels))
        self.given = int(np.prod(options.shape))
        self.width = self.given + 1

    def rows(self, batch: list[Document]) -> Iterator[tuple[Document, Iterable[Integers]]]:
        """Each document with its row, or none if its size or label is another."""
        for document in batch:
            row = self._row(document.rest)
            yield document, [] if row is None else [row[None]]

    def _row(self, picture: Picture) -> Integers | None:
        number = self._numbers.get(picture.label)
        if number is None:
            what = "images of labels that data.options.labels does not name left out"
            self._tally.count(what, example=picture.label[:40])
            return None
        cells = fitted(picture.pixels, self._options.shape, self._options.resize)
        if cells is None:
            height, width = self._options.size
            self._tally.count(
                f"images of other sizes than {height} x {width} left out "
                "(data.options.resize: true scales them)",
                example=" x ".join(map(str, picture.pixels.shape[:2])),
            )
            return None
        return np.append(cells.ravel(), np.uint16(number)).astype(np.uint16)


class ImageRows:
    """Images with a label each."""

    readers = Readers(
        embedded=READERS,
        files=read_folders,
        files_fingerprint=folders_fingerprint,
        files_notes=folder_notes,
        hub=read_images,
    )

    def identity(self, data: DataConfig, cache: Path) -> dict[str, Any]:  # noqa: ARG002
        """Size, labels, channels and the treatment of other sizes."""
        return {"images": ROWS_VERSION, **image_options(data.options).model_dump(mode="json")}

    def encoder(self, data: DataConfig, tally: Tally) -> ImageEncoder:
        """Pixels and the number of the label."""
        return ImageEncoder(image_options(data.options), tally)

    def shown(self, data: DataConfig) -> Callable[[Integers], str]:
        """The label, and the image in a few shades, a line below the other."""
        options = image_options(data.options)
        _, height, width = options.shape

        def line(row: Integers) -> str:
            cells = np.abs(row[: height * width].astype(np.int64)).reshape(height, width)
            ink = f"{(cells > 0).mean():.0%} of {height} x {width} pixels, mean {cells.mean():.0f}"
            return f"{options.labels[int(row[-1]) - 1]} ({ink})"

        return line

    def notes(self, data: DataConfig, splits: Mapping[str, Column]) -> tuple[str, ...]:
        """Labels that a split has no image of, with the images of it that others have."""
        labels = image_options(data.options).labels
        counts = {name: Counter(column(-1).tolist()) for name, column in splits.items()}
        found = []
        for name, there in counts.items():
            missing = [label for i, label in enumerate(labels, start=1) if not there[i]]
            if missing:
                found.append(f"{name} has no image of label {', '.join(missing)}")
        asked = [i for i, _ in enumerate(labels, start=1) if not counts["generic"][i]]
        unseen = sum(c[i] for n, c in counts.items() if n.startswith("target") for i in asked)
        if unseen:
            found.append(f"target images of labels that the generic corpus has none of: {unseen:,}")
        return tuple(found)
