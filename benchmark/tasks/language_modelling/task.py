"""Language modelling, as the other layers see it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.data.config import DataConfig
from benchmark.data.source import FilesSource, HubSource
from benchmark.data.task_rows import TaskRows
from benchmark.data.tokenizers import Tokenizer, load_tokenizer
from benchmark.models.config import ModelConfig
from benchmark.tasks.kind import TEXT, TOKENS, TaskKind

if TYPE_CHECKING:
    from torch import nn

    from benchmark.data import PreparedData


class LanguageModelling(TaskKind):
    """Text, a token at a time."""

    name = "language_modelling"
    summary = "the next token of a text"
    reads = frozenset({TEXT, TOKENS})
    per = "token"

    @cached_property
    def rows(self) -> TaskRows:
        from benchmark.tasks.language_modelling.rows import TextRows

        return TextRows()

    def options_of(self, data: DataConfig) -> dict[str, Any]:
        if data.options:
            raise ValueError(f"options: {self.name} has none (got {', '.join(data.options)})")
        return {}

    def check_source(self, source: FilesSource | HubSource) -> None:
        if source.answer_field is not None:
            raise ValueError(f"answer_field: {self.name} has no answers: leave it out")

    def check_model(self, model: ModelConfig) -> None:
        if model.network is not None:
            raise ValueError("network: language_modelling has none: give transformer or preset")

    def build_model(
        self, model: ModelConfig, data: DataConfig, rows: PreparedData, seed: int
    ) -> nn.Module:
        from benchmark.models.build import build_model

        return build_model(
            model,
            vocabulary_size=rows.vocabulary_size,
            length=rows.width,
            tokenizer=data.loaded_tokenizer,
            seed=seed,
            probes=rows.cache / "probes",
        )

    def decoder(self, data: DataConfig) -> Callable[[np.ndarray], list[str]]:
        return TextDecoder(data.loaded_tokenizer)

    def small_problem(self, folder: Path) -> dict[str, Any]:
        from benchmark.tasks.language_modelling.problem import small_problem

        return small_problem(folder)


class TextDecoder:
    """What turns token rows ``[n, T]`` into text by the tokenizer of a name.

    The tokenizer is loaded when first needed, also after a copy was sent to another process;
    raises `UserError` if it cannot be.
    """

    def __init__(self, tokenizer: str) -> None:
        self.name = tokenizer

    def __call__(self, rows: np.ndarray) -> list[str]:
        return [self._tokenizer.decode(row) for row in rows]

    def __getstate__(self) -> dict[str, str]:
        return {"name": self.name}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return load_tokenizer(self.name)
