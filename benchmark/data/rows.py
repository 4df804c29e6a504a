"""Documents to fixed-width token rows, built once and memory-mapped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from benchmark.core.errors import UserError
from benchmark.core.frozen import Frozen
from benchmark.data.config import AnySource, DataConfig
from benchmark.data.encoding import Integers, document_batches, encode_documents
from benchmark.data.obituary import obituary
from benchmark.data.sources import describe, read_source, source_fingerprint
from benchmark.data.storage import ArrayWriter, build_folder, open_array
from benchmark.data.text import Document, Tally
from benchmark.data.tokenizers import BYTES, Tokenizer, load_tokenizer, tokenizer_fingerprint

FORMAT_VERSION = 1
ROWS_A_SECTION = 64
"""Longer documents are cut into sections of so many rows; splits never divide a section."""

MOST_DOMAINS = 1 << 16

Progress = Callable[[str, int], None]
"""Called with what is being built and the rows written so far."""


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


@dataclass(frozen=True)
class RowStore:
    """Memory-mapped rows, in corpus order.

    ``tokens``: ``[n_rows, width]``, padded with 0 at the end; ``domains``, ``documents`` and
    ``sections``: ``[n_rows]`` indices, the last two non-decreasing. ``domains`` index
    ``meta.domain_names``.
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
        arrays = {name: open_array(folder / f"{name}.npy") for name in _ARRAYS}
        for name, array in arrays.items():
            shape = (meta.n_rows, meta.width) if name == "tokens" else (meta.n_rows,)
            if array.shape != shape:
                raise UserError(
                    f"{folder / name}.npy: damaged (shape {array.shape}, expected {shape}); "
                    f"delete the folder {folder} to rebuild it"
                )
        return cls(folder=folder, meta=meta, **arrays)


_ARRAYS = ("tokens", "domains", "documents", "sections")


def build_rows(
    source: AnySource, settings: DataConfig, cache: Path, progress: Progress | None = None
) -> RowStore:
    """The store of ``source`` under ``settings``, built if the cache does not have it.

    Memory does not depend on the size of the source. The store appears complete or not at all.
    Raises `UserError` if the source is missing, unreadable or has no usable document, or if the
    disk is full.
    """
    folder = cache / "rows" / _store_key(source, settings, cache)
    if not folder.is_dir():

        def build(partial: Path) -> None:
            tokenizer = load_tokenizer(settings.loaded_tokenizer)
            tally = Tally()
            documents = read_source(source, cache, settings.whitespace, tally)
            with obituary():
                _write_store(
                    partial, documents, tokenizer, settings, describe(source), progress, tally
                )

        build_folder(folder, build)
    return RowStore.open(folder)


def _store_key(source: AnySource, settings: DataConfig, cache: Path) -> str:
    identity = {
        "format": FORMAT_VERSION,
        "source": source_fingerprint(source, cache),
        "tokenizer": tokenizer_fingerprint(settings.loaded_tokenizer, cache),
        "width": settings.width,
        "examples": settings.examples,
        "min_tokens": settings.min_tokens,
    }
    if settings.tokenizer != BYTES:
        # Rows of tokenizers whose ids have gaps were once stored too narrow.
        identity["vocabulary"] = "to the largest id"
    if settings.whitespace != "collapse":  # stores from before there was a choice stay valid
        identity["whitespace"] = settings.whitespace
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]


def _write_store(
    folder: Path,
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    settings: DataConfig,
    source: str,
    progress: Progress | None,
    tally: Tally,
) -> None:
    domains: dict[str, int] = {}
    n_documents = n_sections = n_tokens = 0
    with (
        ArrayWriter(folder / "tokens.npy", _smallest(tokenizer), (settings.width,)) as tokens_out,
        ArrayWriter(folder / "domains.npy", np.uint16) as domains_out,
        ArrayWriter(folder / "documents.npy", np.int64) as documents_out,
        ArrayWriter(folder / "sections.npy", np.int64) as sections_out,
    ):
        for batch in document_batches(documents):
            for document, vectors in encode_documents(batch, tokenizer):
                n = 0
                checked = (_within(tokens, tokenizer) for tokens in vectors)
                for rows in row_blocks(checked, settings):
                    places = n + np.arange(len(rows))
                    tokens_out.append(rows)
                    domain = _domain_index(domains, document.domain)
                    domains_out.append(np.full(len(rows), domain))
                    documents_out.append(np.full(len(rows), n_documents))
                    sections_out.append(n_sections + places // ROWS_A_SECTION)
                    n_tokens += int(np.count_nonzero(rows))
                    n += len(rows)
                tally.count(f"documents under min_tokens {settings.min_tokens} left out", n == 0)
                n_documents += n > 0
                n_sections += -(-n // ROWS_A_SECTION)
            if progress is not None:
                progress(source, tokens_out.n_rows)
    if n_documents == 0:
        said = "; ".join(["", *tally.notes()])
        raise UserError(
            f"source {source}: no document of min_tokens {settings.min_tokens} tokens or more; "
            f"give a source with text or lower min_tokens{said}"
        )
    hashes = [out.sha256 for out in (tokens_out, domains_out, documents_out, sections_out)]
    meta = RowMeta(
        width=settings.width,
        vocabulary_size=tokenizer.vocabulary_size,
        tokenizer=tokenizer.name,
        domain_names=tuple(domains),
        n_rows=tokens_out.n_rows,
        n_documents=n_documents,
        n_tokens=n_tokens,
        source=source,
        content_hash=hashlib.sha256(json.dumps([hashes, list(domains)]).encode()).hexdigest(),
        notes=tally.notes(),
    )
    (folder / "meta.json").write_text(meta.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _within(tokens: Integers, tokenizer: Tokenizer) -> Integers:
    """The tokens; a larger one would wrap to another in the array of rows."""
    if len(tokens) and not 0 < tokens.min() <= tokens.max() < tokenizer.vocabulary_size:
        raise UserError(
            f"tokenizer: {tokenizer.name!r} makes tokens outside of its own vocabulary of "
            f"{tokenizer.vocabulary_size - 1}: mend its files or give another"
        )
    return tokens


def cut_rows(tokens: Integers, width: int, examples: str, min_tokens: int) -> Integers:
    """Rows ``[k, width]`` of one document, padded with 0; none if it is under ``min_tokens``.

    ``examples``: ``first`` keeps one row, ``chunks`` all, the last if it has ``min_tokens``.
    """
    if examples == "first":
        tokens = tokens[:width]
    used = len(tokens)
    if used % width < min_tokens:
        used -= used % width
    rows = np.zeros((-(-used // width), width), dtype=tokens.dtype)
    rows.reshape(-1)[:used] = tokens[:used]
    return rows


def row_blocks(vectors: Iterable[Integers], settings: DataConfig) -> Iterator[Integers]:
    """Rows ``[k, width]`` of a document whose tokens come in pieces, as `cut_rows` of them all."""
    width, examples, min_tokens = settings.width, settings.examples, settings.min_tokens
    rest: Integers | None = None
    for vector in vectors:
        tokens = vector if rest is None else np.concatenate([rest, vector])
        whole = len(tokens) - len(tokens) % width
        if examples == "first" and whole:
            yield tokens[None, :width]
            return
        if whole:
            yield tokens[:whole].reshape(-1, width)
        rest = tokens[whole:]
    if rest is not None and len(rest) >= min_tokens:
        yield cut_rows(rest, width, examples, min_tokens)


def _domain_index(domains: dict[str, int], name: str) -> int:
    index = domains.setdefault(name, len(domains))
    if index >= MOST_DOMAINS:
        raise UserError(
            f"domain_field: more than {MOST_DOMAINS} provenance domains, the last {name[:40]!r}; "
            f"choose a coarser field or name whole folders"
        )
    return index


def _smallest(tokenizer: Tokenizer) -> type[np.unsignedinteger[Any]]:
    """The narrowest type that holds every row token."""
    size = tokenizer.vocabulary_size
    if size <= 1 << 8:
        return np.uint8
    return np.uint16 if size <= 1 << 16 else np.uint32
