"""Translation, as the other layers see it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.data.config import DataConfig
from benchmark.data.source import FilesSource, HubSource
from benchmark.data.task_rows import TaskRows
from benchmark.models.config import PRESETS, ModelConfig
from benchmark.tasks.kind import TEXT, TOKENS, TaskKind

if TYPE_CHECKING:
    from torch import nn

    from benchmark.data import PreparedData
    from benchmark.models.batch import Rows


class Translation(TaskKind):
    """Pairs of texts."""

    name = "translation"
    summary = "the translation of a text, a token at a time"
    reads = frozenset({TEXT, TOKENS})
    per = "token"

    @cached_property
    def rows(self) -> TaskRows:
        from benchmark.tasks.translation.rows import PairRows

        return PairRows()

    def options_of(self, data: DataConfig) -> dict[str, Any]:
        if data.options:
            raise ValueError(f"options: {self.name} has none (got {', '.join(data.options)})")
        if data.examples != DataConfig.model_fields["examples"].default:
            raise ValueError("examples: pairs are not cut: leave it out")
        if data.min_tokens >= data.width // 2:
            raise ValueError(
                f"min_tokens {data.min_tokens} tokens of a side do not fit into half of width "
                f"{data.width}: lower min_tokens or raise width"
            )
        return {}

    def check_source(self, source: FilesSource | HubSource) -> None:
        if source.answer_field is None:
            raise ValueError(
                "answer_field is missing: name the field of translations, beside text_field"
            )

    def check_model(self, model: ModelConfig) -> None:
        if model.network is not None:
            raise ValueError("network: translation has none: give transformer or preset")

    def build_model(
        self, model: ModelConfig, data: DataConfig, rows: PreparedData, seed: int
    ) -> nn.Module:
        if model.huggingface is not None or model.huggingface_config is not None:
            from benchmark.tasks.translation.pretrained import build_pretrained

            return build_pretrained(model, data, rows, seed)
        from benchmark.tasks.translation.model import EncoderDecoder

        size = model.transformer or PRESETS[str(model.preset)]
        return EncoderDecoder(size, rows.vocabulary_size, rows.width, rows.given, seed)

    def decoder(self, data: DataConfig) -> Callable[[np.ndarray], list[str]]:
        from benchmark.tasks.translation.rows import PairDecoder

        return PairDecoder(data)

    def scores(self, model: nn.Module, rows: Rows, data: DataConfig) -> dict[str, float]:
        from benchmark.tasks.translation.model import TranslationModel
        from benchmark.tasks.translation.scores import corpus_scores

        assert isinstance(model, TranslationModel)
        return corpus_scores(model, rows, data)

    def small_problem(self, folder: Path) -> dict[str, Any]:
        from benchmark.tasks.translation.problem import small_problem

        return small_problem(folder)
