"""What a user writes about data: the generic corpus, how rows are made, the target sample."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from benchmark.core.errors import unknown
from benchmark.core.frozen import Frozen
from benchmark.core.hub import pinned
from benchmark.core.tasks import LANGUAGE_MODELLING, find_task, task_names
from benchmark.data.catalogue import load_catalogue
from benchmark.data.source import (
    AnySource,
    EmbeddedSource,
    FilesSource,
    HubSource,
    MixtureSource,
    NoiseSource,
    Source,
    builtin_generic,
)
from benchmark.data.text import Whitespace

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
    means ``collapse`` and ``keep``.
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
    task: str = LANGUAGE_MODELLING
    """What a model learns of a row: the name of a task."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Settings of the task's own, by name; language modelling has none."""
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
        later = (*UNSAID, "task", "options", "tokenizer_files")
        usual = {key: fields[key].get_default(call_default_factory=True) for key in later}
        unused = {key for key in later if getattr(self, key) == usual[key]}
        return {key: value for key, value in content.items() if key not in unused}

    @model_validator(mode="after")
    def _pieces_fit(self) -> DataConfig:
        if self.min_tokens > self.width:
            raise ValueError(
                f"min_tokens {self.min_tokens} is more than width {self.width}: "
                f"choose min_tokens between 1 and {self.width}"
            )
        return self

    @field_validator("task")
    @classmethod
    def _is_a_task(cls, name: str) -> str:
        if name not in task_names():
            raise ValueError(str(unknown("task", name, task_names())))
        return name

    @model_validator(mode="after")
    def _makes_rows_of_its_task(self) -> DataConfig:
        # Written out, so that runs do not depend on defaults.
        object.__setattr__(self, "options", find_task(self.task).options_of(self))
        self.check_source(self.generic, "generic")
        return self

    def check_source(self, source: AnySource, key: str) -> None:
        """Raise ValueError, naming the ``key``, if the source is one of another task."""
        match source:
            case MixtureSource(mixture=parts):
                for name, part in parts.items():
                    self.check_source(part.source, f"{key}.mixture.{name}.source")
            case EmbeddedSource(embedded=name):
                corpora = load_catalogue().corpora
                if corpora[name].task != self.task:
                    valid = [other for other, c in corpora.items() if c.task == self.task]
                    raise ValueError(
                        f"{key}: corpus {name!r} is one of {corpora[name].task}, and data.task is "
                        f"{self.task}; valid: {', '.join(valid)}"
                    )
            case FilesSource() | HubSource():
                try:
                    find_task(self.task).check_source(source)
                except ValueError as error:
                    raise ValueError(f"{key}: {error}") from None
            case NoiseSource() if self.task != LANGUAGE_MODELLING:
                raise ValueError(f"{key}: noise is text, and data.task is {self.task}")
            case _:
                pass


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
