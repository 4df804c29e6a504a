"""What a user writes about data: sources, the generic corpus, the target sample."""

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
    model_validator,
)

from benchmark.core.errors import UserError, unknown
from benchmark.core.frozen import Frozen
from benchmark.core.hub import pinned
from benchmark.core.spelling import domain_name
from benchmark.data.catalogue import load_catalogue
from benchmark.data.naming import missing_path, require_one_meaning
from benchmark.data.text import Whitespace

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
    """Field of a record that holds its text; dotted if nested (``meta.body``)."""
    domain_field: str | None = None
    """Field that holds the provenance domain, dotted likewise; None: the data set, the sub-folder
    or the file gives its name.
    """
    domains: tuple[str, ...] = ()
    """Keep only records of these domains; empty: all."""

    @field_validator("domains")
    @classmethod
    def _as_domains_are_named(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(domain_name, names))


class FilesSource(_FieldChoice):
    """Local files, or folders searched recursively.

    ``.txt``: each paragraph is a document, without any fields; ``.jsonl``, ``.json``: one JSON
    object a line, or one list of objects; ``.parquet``, ``.arrow``: one row a document. The first
    three also compressed.
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


UNSAID = {"whitespace": "keep", "near_duplicates": "remove"}
"""What a study file asks for by saying nothing, where a record that says nothing means another:
choices that came later."""


class DataConfig(Frozen):
    """The generic corpus and how text becomes rows.

    ``width`` tokens a row; ``examples``: ``first`` keeps the first row of each document,
    ``chunks`` every consecutive one; pieces under ``min_tokens`` tokens are dropped;
    ``generic_valid`` rows are set aside for measuring forgetting and never trained on.
    ``whitespace``: ``keep`` leaves line breaks and indentation in documents, ``collapse`` makes
    each run of white space one space. ``near_duplicates``: ``remove`` leaves out training rows that
    resemble, or whose document resembles, a held-out one (Jaccard similarity of token 5-grams from
    about .8 on), ``keep`` leaves them in. A study file that does not say keeps white space and
    removes near-duplicates; a record that does not say is from before there was a choice, and
    means the defaults below.
    """

    generic: Source = Field(default_factory=builtin_generic)
    """The corpus that methods choose rows from."""
    tokenizer: str = Field(default="bytes", min_length=1)
    """``bytes``, or the name or folder of a Hugging Face tokeniser."""
    width: int = Field(default=128, ge=2)
    examples: Literal["first", "chunks"] = "chunks"
    min_tokens: PositiveInt = 16
    generic_valid: PositiveInt = 500
    whitespace: Whitespace = "collapse"
    near_duplicates: Literal["remove", "keep"] = "keep"
    tokenizer_files: str = ""
    """Digest of a local tokeniser's files, or ``commit:`` and the commit of one of the hub; filled
    in when a study is run.
    """

    @property
    def loaded_tokenizer(self) -> str:
        """Name or folder of the tokeniser, a name of the hub with the commit that is known."""
        return pinned(self.tokenizer, self.tokenizer_files)

    @model_serializer(mode="wrap")
    def _without_what_was_not(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys of runs do not depend on what they do not use, or on a choice that came later."""
        content: dict[str, Any] = dump(self)
        fields = type(self).model_fields
        later = (*UNSAID, "tokenizer_files")
        unused = {key for key in later if getattr(self, key) == fields[key].default}
        return {key: value for key, value in content.items() if key not in unused}

    @model_validator(mode="after")
    def _pieces_fit(self) -> DataConfig:
        if self.min_tokens > self.width:
            raise ValueError(
                f"min_tokens {self.min_tokens} is more than width {self.width}: "
                f"choose min_tokens between 1 and {self.width}"
            )
        return self


class TargetConfig(Frozen):
    """The target domain and the rows of its train, valid and test samples."""

    source: Source
    """Where text of the domain comes from."""
    train: PositiveInt = 2000
    """Rows that methods and fine-tuning learn from."""
    valid: PositiveInt = 500
    """Rows that early stopping and tuning go by."""
    test: PositiveInt = 1000
    """Rows that a model is scored on, once after each stage."""
