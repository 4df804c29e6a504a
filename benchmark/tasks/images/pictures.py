"""Images as they travel from a source to a row."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmark.data.text import Document, Tally

Pixels = npt.NDArray[np.uint8]
CORRUPT = "images that cannot be decoded left out"


class Picture(NamedTuple):
    """Pixels ``[height, width]`` of grey or ``[height, width, 3]``, and a label."""

    pixels: Pixels
    label: str

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return self.pixels.nbytes


def document_of(pixels: Pixels, label: str, domain: str | None = None) -> Document:
    """An image known by its pixels, so that one with two labels is met once.

    Without a ``domain`` its label is its provenance.
    """
    shape = repr(pixels.shape).encode()
    digest = hashlib.blake2b(shape + pixels.tobytes(), digest_size=16).hexdigest()
    return Document(digest, label if domain is None else domain, Picture(pixels, label))


def decoded(content: bytes, place: str, tally: Tally) -> Pixels | None:
    """Pixels of the bytes of an image file, grey or RGB; None if they are none, and counted."""
    from PIL import Image

    try:
        with Image.open(BytesIO(content)) as image:
            grey = image.mode in {"1", "L", "I;16", "I"}
            return np.asarray(image.convert("L" if grey else "RGB"))
    # Decoders of many formats raise many things.
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        tally.count(CORRUPT, example=place)
        return None


def fitted(pixels: Pixels, shape: tuple[int, int, int], resize: bool) -> Pixels | None:
    """Pixels ``[channels, height, width]`` of that shape; None if the size is another."""
    from PIL import Image

    channels, height, width = shape
    image: Any = Image.fromarray(pixels)
    if pixels.shape[:2] != (height, width):
        if not resize:
            return None
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    cells = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return cells[None] if channels == 1 else cells.transpose(2, 0, 1)
