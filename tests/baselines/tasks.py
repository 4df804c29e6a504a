"""A task on the shared test corpora, for tests that look at one method alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api.baseline import Baseline
from benchmark.api.cost import CostMeter
from benchmark.api.task import Task
from benchmark.data import PreparedData, prepare
from benchmark.data.tokenizers import BYTES, ByteTokenizer
from benchmark.models.config import TransformerConfig
from benchmark.models.protocol import inverse_square_root
from benchmark.models.transformer import Transformer
from benchmark.study.study import Study
from benchmark.tasks.language_modelling.task import TextDecoder
from tests.conftest import study_content, write_corpus

MakeTask = Callable[..., Task]
Method = TypeVar("Method", bound=Baseline)


def prepare_corpora(folder: Path) -> PreparedData:
    """Three subjects as the generic corpus, 100 rows about one of them as the target sample."""
    study = Study.model_validate(study_content(*write_corpus(folder / "text")))
    return prepare(study.data, study.targets["harbour"], folder / "cache")


class TextRows:
    """Byte rows of given texts, all of one domain."""

    domain_names = ("only",)

    def __init__(self, texts: list[str], width: int = 48) -> None:
        self.array = byte_rows(texts, width)

    def __len__(self) -> int:
        return len(self.array)

    def tokens(self, positions: np.ndarray) -> np.ndarray:
        return self.array[positions]

    def domains(self, positions: np.ndarray) -> np.ndarray:
        return np.zeros(len(positions), dtype=np.int64)


def byte_rows(texts: list[str], width: int) -> np.ndarray:
    """Each text's first ``width`` bytes as a row."""
    rows = np.zeros((len(texts), width), dtype=np.int64)
    for row, text in zip(rows, texts, strict=True):
        cut = text.encode()[:width]
        row[: len(cut)] = list(cut)
    return rows


def corpora_task(data: PreparedData, **changes: Any) -> Task:
    """A task on prepared corpora."""
    target = data.target_train.tokens(np.arange(len(data.target_train)))
    return make_task(data.generic, target, **changes)


def make_task(generic: Any, target: np.ndarray, **changes: Any) -> Task:
    """A task with a tiny transformer."""
    settings: dict[str, Any] = {
        "vocabulary_size": 256,
        "batch_size": 8,
        "big_batch_size": 64,
        "steps": 12,
        "seed": 0,
        **changes,
    }
    if settings["vocabulary_size"] == ByteTokenizer.vocabulary_size:
        settings.setdefault("decode", TextDecoder(BYTES))
    return Task(
        model=tiny_model(settings["vocabulary_size"], target.shape[1]),
        generic=generic,
        target=target,
        meter=CostMeter(),
        learning_rate=lambda step: inverse_square_root(step, 0.003, 4),
        **settings,
    )


def tiny_model(vocabulary_size: int, width: int) -> nn.Module:
    """A one-layer transformer with dropout, always the same."""
    config = TransformerConfig(layers=1, width=16, heads=2, hidden=32, dropout=0.1)
    model = Transformer(config, vocabulary_size, width)
    model.initialise(torch.Generator().manual_seed(0))
    return model


def build(method: type[Method], task: Task, **hyperparameters: Any) -> Method:
    """The method on the task, not yet prepared."""
    return method(task, method.Hyperparameters.model_validate(hyperparameters))


def prepared(method: type[Method], task: Task, **hyperparameters: Any) -> Method:
    """The method on the task, prepared."""
    made = build(method, task, **hyperparameters)
    made.prepare()
    return made


def harbour_share(method: Baseline, steps: int = 12) -> float:
    """Share of the rows drawn in the first steps that are about the target's subject."""
    task = method.task
    positions = np.concatenate([method.batch(step).positions for step in range(steps)])
    harbour = task.generic.domain_names.index("harbour")
    return float((task.generic.domains(positions) == harbour).mean())


def batches(method: Baseline, steps: int = 5) -> Tensor:
    """The rows of the first steps: ``[steps, n, T]``."""
    return torch.stack([method.batch(step).rows for step in range(steps)])
