"""What a user writes about sources: one of a kind, or a mixture of them."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_serializer,
)

from benchmark.core.errors import UserError, unknown
from benchmark.core.frozen import Frozen
from benchmark.core.spelling import domain_name
from benchmark.data.catalogue import load_catalogue
from benchmark.data.naming import missing_path, require_one_meaning

GENERIC = "generic"
"""Name of the built-in mixture of embedded corpora."""


class EmbeddedSource(Frozen):
    """A corpus read out of a pinned registry package.

    ``part``: ``held_out`` is a fixed slice of about 0.6 MB, ``train`` the rest, ``all`` both.
    """

    embedded: str
    """Name of the corpus; ``adaptbench list`` shows them all."""
    part: Literal["all", "train", "held_out"] = "all"

    @field_validator("embedded")
    @classmethod
    def _known(cls, name: str) -> str:
        choices = load_catalogue().corpora
        if name not in choices:
            raise ValueError(str(unknown("embedded corpus", name, choices)))
        return name


class _FieldChoice(Frozen):
    """Which fields of a record hold the text and the provenance domain."""

    text_field: str = "text"
    """Field of a record that holds its text, or its image; dotted if nested (``meta.body``)."""
    answer_field: str | None = None
    """Field that holds what a model is to say of it, dotted likewise: the translation, or the
    label of an image. None: of text, nothing.
    """
    domain_field: str | None = None
    """Field that holds the provenance domain, dotted likewise; None: the data set, the sub-folder
    or the file gives its name.
    """
    domains: tuple[str, ...] = ()
    """Keep only records of these domains; empty: all."""

    @property
    def asked(self) -> dict[str, str]:
        """Fields that are read, with the key that asks for each."""
        found: dict[str, str] = {}
        for key in ("text_field", "answer_field", "domain_field"):
            if (field := getattr(self, key)) is not None:
                found.setdefault(field, key)
        return found

    @field_validator("domains")
    @classmethod
    def _as_domains_are_named(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(domain_name, names))

    @model_serializer(mode="wrap")
    def _without_no_answer(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys of runs do not depend on a field that came later."""
        content: dict[str, Any] = dump(self)
        return {k: v for k, v in content.items() if k != "answer_field" or v is not None}


class FilesSource(_FieldChoice):
    """Local files, or folders searched recursively.

    ``.txt``: each paragraph is a document, without any fields; ``.jsonl``, ``.json``: one JSON
    object a line, or one list of objects; ``.parquet``, ``.arrow``: one row a document. The first
    three also compressed. Of images: ``.png`` and other pictures, those of a label in a folder of
    its name.
    """

    files: tuple[Path, ...] = Field(min_length=1)
    """One path or several, relative to where the command runs."""

    @field_validator("files", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | Path) else value


class HubSource(_FieldChoice):
    """A data set as ``datasets.load_dataset`` takes it, streamed unless told otherwise."""

    dataset: str
    """Hub id, a local folder, or a format such as ``json`` for ``data_files``."""
    name: str | None = None
    """Its configuration, such as ``en``; None: the default one."""
    split: str = "train"
    """Which of its splits is read."""
    revision: str | None = None
    """Commit, tag or branch on the hub; None: the newest."""
    data_files: tuple[str, ...] | None = None
    """Files to read of it; None: those that it declares."""
    streaming: bool = True
    """Read it as a stream; ``false``: download it whole first."""
    max_documents: PositiveInt | None = None
    """First records to take, counted before ``domains`` are picked; None: all."""


class NoiseSource(Frozen):
    """Made-up text without any structure."""

    noise: Literal["letters"]
    """``letters``: words of uniformly random letters."""
    documents: PositiveInt
    """Number of documents, of 60 words each."""
    seed: int = 0
    """Seed of the letters."""


_KINDS = ("embedded", "files", "dataset", "noise", "mixture")


def _kind_of(value: Any) -> str | None:
    """The key that tells the kinds of source apart, of raw or validated input."""
    if isinstance(value, dict):
        return next((kind for kind in _KINDS if kind in value), None)
    return next((kind for kind in _KINDS if hasattr(value, kind)), None)


def _expand_name(value: Any) -> Any:
    """A plain string names an embedded corpus or else an existing file or folder."""
    if isinstance(value, dict) and _kind_of(value) is None:
        near = [n for key in value for n in difflib.get_close_matches(str(key), _KINDS, n=1)]
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        keys = ", ".join(_KINDS)
        raise ValueError(f"a source is a name, a path or has one of the keys {keys}{hint}")
    if not isinstance(value, str | Path):
        return value
    corpora = load_catalogue().corpora
    if value in corpora:
        require_one_meaning(str(value), "corpus", f"{{embedded: {value}}} for the corpus")
        return {"embedded": str(value)}
    if os.path.exists(value):  # noqa: PTH110 (a path too long to be one is not there either)
        return {"files": value}
    if problem := missing_path(value):
        raise ValueError(problem)
    named = unknown("source", str(value)[:80], [*corpora, GENERIC])
    raise ValueError(f"{named}, or an existing file or folder")


def _by_kind(kinds: str) -> Discriminator:
    return Discriminator(
        _kind_of,
        custom_error_type="source_kind",
        custom_error_message=f"a source is a name, a path or has one of the keys {kinds}",
    )


_Single = (
    Annotated[EmbeddedSource, Tag("embedded")]
    | Annotated[FilesSource, Tag("files")]
    | Annotated[HubSource, Tag("dataset")]
    | Annotated[NoiseSource, Tag("noise")]
)
SingleSource = Annotated[
    _Single, _by_kind("embedded, files, dataset, noise"), BeforeValidator(_expand_name)
]


class MixturePart(Frozen):
    """One domain of a mixture.

    ``megabytes`` of UTF-8 text are taken (None: all): of an embedded corpus a uniform sample of
    its documents of about that size, of any other source (whose size nobody knows) the first
    documents.
    """

    source: SingleSource
    """Where its text comes from."""
    megabytes: PositiveFloat | None = None


class MixtureSource(Frozen):
    """Several sources one after the other; the name of a part is its provenance domain."""

    mixture: dict[str, MixturePart] = Field(min_length=1)
    """The parts by name, in the order in which they are read."""


def _expand_mixture(value: Any) -> Any:
    if value != GENERIC:
        return _expand_name(value)
    require_one_meaning(GENERIC, "mixture", "nothing in data.generic for the mixture")
    return builtin_generic()


Source = Annotated[
    _Single | Annotated[MixtureSource, Tag("mixture")],
    _by_kind("embedded, files, dataset, noise, mixture"),
    BeforeValidator(_expand_mixture),
]

AnySource = EmbeddedSource | FilesSource | HubSource | NoiseSource | MixtureSource
_SOURCE: TypeAdapter[AnySource] = TypeAdapter(Source)


def builtin_generic() -> MixtureSource:
    """The mixture called ``generic``: embedded corpora without their held-out slices."""
    return MixtureSource(
        mixture={
            name: MixturePart(
                source=EmbeddedSource(embedded=name, part="train"), megabytes=megabytes
            )
            for name, megabytes in load_catalogue().generic.items()
        }
    )


def parse_source(value: object) -> AnySource:
    """A source from what a user wrote (name, path or mapping); raises `UserError`."""
    try:
        return _SOURCE.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["source", *(str(part) for part in first["loc"])])
        raise UserError(f"{key}: {first['msg']} (got {first['input']!r})") from None
