"""The embedded corpora: which pinned package, which reader, which licence."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import Field, PositiveFloat, model_validator

from benchmark.core.frozen import Frozen
from benchmark.core.strict_yaml import load_yaml
from benchmark.core.tasks import LANGUAGE_MODELLING

HELD_OUT_MEGABYTES = 0.6
LARGEST_HELD_OUT_SHARE = 0.25


class Package(Frozen):
    """One file of a package registry, pinned by hash."""

    version: str
    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @property
    def kind(self) -> Literal["wheel", "sdist"]:
        return "wheel" if self.file.endswith(".whl") else "sdist"


class Corpus(Frozen):
    """An embedded corpus; ``megabytes`` is its measured size after deduplication.

    That is of its UTF-8 text, of pairs the source side's, of images the pixels'. A corpus with
    ``members`` has a reader of `benchmark.data.member_readers`, which takes those files of the
    package, by patterns, and of structured ones the strings under ``keys``.
    """

    package: str
    reader: str
    megabytes: PositiveFloat
    licence: str
    description: str
    task: str = LANGUAGE_MODELLING
    members: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def held_out_share(self) -> float:
        """Share of documents in the held-out slice, for about 0.6 MB and at most a quarter."""
        return min(HELD_OUT_MEGABYTES / self.megabytes, LARGEST_HELD_OUT_SHARE)


class Catalogue(Frozen):
    """Packages and corpora by name, and the megabytes a corpus gives to the generic mixture."""

    packages: dict[str, Package]
    corpora: dict[str, Corpus]
    generic: dict[str, PositiveFloat]

    @model_validator(mode="after")
    def _references_exist(self) -> Catalogue:
        for name, corpus in self.corpora.items():
            if corpus.package not in self.packages:
                raise ValueError(f"corpora.{name}: package {corpus.package!r} is not listed")
        for name in self.generic:
            if name not in self.corpora:
                raise ValueError(f"generic: corpus {name!r} is not listed")
        return self


@cache
def load_catalogue() -> Catalogue:
    """The packaged ``corpora.yaml``, and ``more_corpora.yaml`` with those read by patterns.

    Raises:
        ValueError: both name a package or corpus.
    """
    folder = files("benchmark.data")
    first, more = (
        load_yaml(folder.joinpath(name).read_text(encoding="utf-8"))
        for name in ("corpora.yaml", "more_corpora.yaml")
    )
    for kind, entries in more.items():
        if twice := sorted(first[kind].keys() & entries.keys()):
            raise ValueError(f"more_corpora.yaml: {kind}.{twice[0]} is in corpora.yaml already")
        first[kind].update(entries)
    return Catalogue.model_validate(first)
