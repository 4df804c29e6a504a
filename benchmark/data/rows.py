"""Documents to fixed-width rows, built once and memory-mapped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from benchmark.core.errors import UserError
from benchmark.core.frozen import Frozen
from benchmark.data.building import Building, Progress
from benchmark.data.config import DataConfig
from benchmark.data.encoding import Integers
from benchmark.data.source import AnySource
from benchmark.data.sources import describe, source_fingerprint
from benchmark.data.storage import build_folder, open_array
from benchmark.data.task_rows import Encoder, rows_of
from benchmark.data.text import Tally
from benchmark.data.writing import ARRAYS, Written

FORMAT_VERSION = 1


def _is_zero(value: object) -> bool:
    return value == 0


class RowMeta(Frozen):
    """What a store holds and what it was made of."""

    width: int
    vocabulary_size: int
    tokenizer: str
    domain_names: tuple[str, ...]
    n_rows: int
    n_documents: int
    n_tokens: int
    source: str
    content_hash: str
    notes: tuple[str, ...] = ()
    """What of the source was not used, or not as it is: a line each."""
    given: int = Field(default=0, exclude_if=_is_zero)
    """Leading cells of a row that a model is given and does not predict."""


@dataclass(frozen=True)
class RowStore:
    """Memory-mapped rows, in corpus order.

    ``tokens``: cells ``[n_rows, width]`` without signs, those of text padded with 0 at the end;
    ``domains``, ``documents`` and ``sections``: ``[n_rows]`` indices, the last two
    non-decreasing. ``domains`` index ``meta.domain_names``.
    """

    folder: Path
    tokens: Integers
    domains: Integers
    documents: Integers
    sections: Integers
    meta: RowMeta

    def __len__(self) -> int:
        return self.meta.n_rows

    @classmethod
    def open(cls, folder: Path) -> RowStore:
        """Open a built store; raises `UserError` if it is missing or damaged."""
        path = folder / "meta.json"
        try:
            meta = RowMeta.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise UserError(f"{folder}: no token rows here") from None
        except ValidationError as error:
            raise UserError(f"{path}: damaged ({error.errors()[0]['msg']})") from None
        arrays = {name: open_array(folder / f"{name}.npy") for name in ARRAYS}
        for name, array in arrays.items():
            shape = (meta.n_rows, meta.width) if name == "tokens" else (meta.n_rows,)
            if array.shape != shape:
                raise UserError(
                    f"{folder / name}.npy: damaged (shape {array.shape}, expected {shape}); "
                    f"delete the folder {folder} to rebuild it"
                )
        return cls(folder=folder, meta=meta, **arrays)


def build_rows(
    source: AnySource,
    settings: DataConfig,
    cache: Path,
    progress: Progress | None = None,
    jobs: int = 1,
) -> RowStore:
    """The store of ``source`` under ``settings``, built if the cache does not have it.

    Memory does not depend on the size of the source. The store appears complete or not at all;
    pieces of it that are done when a build is killed are not read again. ``jobs`` pieces are built
    side by side, which changes no bit. Raises `UserError` if the source is missing, unreadable or
    has no usable document, or if the disk is full.
    """
    folder = cache / "rows" / _store_key(source, settings, cache)
    if not folder.is_dir():
        building, name = Building(source, settings, cache, jobs), describe(source)

        def hear(rows: int, of: int | None) -> None:
            if progress is not None:
                progress(name, rows, of)

        build_folder(
            folder, lambda partial: _write_meta(partial, name, *building.write(partial, hear))
        )
    return RowStore.open(folder)


def _store_key(source: AnySource, settings: DataConfig, cache: Path) -> str:
    rows = rows_of(settings.task)
    identity = {
        "format": FORMAT_VERSION,
        "source": source_fingerprint(source, cache, rows.readers),
        **rows.identity(settings, cache),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]


def _write_meta(folder: Path, name: str, written: Written, tally: Tally, encoder: Encoder) -> None:
    if written.n_documents == 0:
        said = "; ".join(["", *tally.notes()])
        raise UserError(f"source {name}: {encoder.nothing}{said}")
    content = json.dumps([written.hashes, written.domains])
    meta = RowMeta(
        width=encoder.width,
        given=encoder.given,
        vocabulary_size=encoder.vocabulary_size,
        tokenizer=encoder.name,
        domain_names=tuple(written.domains),
        n_rows=written.n_rows,
        n_documents=written.n_documents,
        n_tokens=written.n_tokens,
        source=name,
        content_hash=hashlib.sha256(content.encode()).hexdigest(),
        notes=tally.notes(),
    )
    (folder / "meta.json").write_text(meta.model_dump_json(indent=1) + "\n", encoding="utf-8")
