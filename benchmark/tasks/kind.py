"""The interface behind which tasks differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from benchmark.core.tasks import find_task
from benchmark.data.config import DataConfig
from benchmark.data.source import FilesSource, HubSource
from benchmark.data.task_rows import TaskRows
from benchmark.models.config import ModelConfig

if TYPE_CHECKING:
    from torch import nn

    from benchmark.data import PreparedData
    from benchmark.models.batch import Rows

TEXT, TOKENS, PIXELS = "text", "tokens", "pixels"
"""What methods may read of rows: words and n-grams, cells in sequence, an image."""


class TaskKind(ABC):
    """A task: language modelling, translation, the classification of images.

    A folder of ``benchmark.tasks`` has one, as ``TASK``. Importing it imports neither torch nor
    what reads sources: reports know tasks too.
    """

    name: ClassVar[str]
    """That of the folder."""

    summary: ClassVar[str]
    """What a model learns, in one line."""

    reads: ClassVar[frozenset[str]]
    """Of `TEXT`, `TOKENS` and `PIXELS`, those that its rows can be read as."""

    near_duplicates: ClassVar[bool] = True
    """Whether 5-grams of cells tell which rows are alike."""

    per: ClassVar[str]
    """What a loss is the mean of, in one word: a ``token``, an ``image``."""

    @property
    @abstractmethod
    def rows(self) -> TaskRows:
        """How its rows are made."""

    @abstractmethod
    def options_of(self, data: DataConfig) -> dict[str, Any]:
        """``data.options`` with every setting written out.

        Raises:
            ValueError: naming the key, if they or other settings make no rows of this task.
        """

    def check_source(self, source: FilesSource | HubSource) -> None:  # noqa: B027
        """Raise ValueError if the fields that it names are not those of this task."""

    def check_model(self, model: ModelConfig) -> None:  # noqa: B027
        """Raise ValueError if it is no model of this task."""

    @abstractmethod
    def build_model(
        self, model: ModelConfig, data: DataConfig, rows: PreparedData, seed: int
    ) -> nn.Module:
        """The main model, whose initial weights depend on ``seed`` only.

        It maps rows ``[n, T]`` to losses ``[n, T]``, 0 at cells that are not predicted.

        Raises:
            UserError: a checkpoint cannot be read or does not fit the rows; the model fails its
                probe.
        """

    def decoder(self, data: DataConfig) -> Callable[[np.ndarray], list[str]] | None:  # noqa: ARG002
        """What turns rows ``[n, T]`` into texts; None where they hold none."""
        return None

    def image(self, data: DataConfig) -> tuple[int, int, int] | None:  # noqa: ARG002
        """Channels, height and width, where the given cells of a row are those of an image."""
        return None

    def scores(
        self,
        model: nn.Module,  # noqa: ARG002
        rows: Rows,  # noqa: ARG002
        data: DataConfig,  # noqa: ARG002
    ) -> dict[str, float]:
        """What a model is scored by beside its loss, by name, without dropout."""
        return {}

    @abstractmethod
    def small_problem(self, folder: Path) -> dict[str, Any]:
        """Sections ``data``, ``models`` and ``targets`` of a study that takes a second a run.

        Its files are written below ``folder``; everything is a fixed function of nothing. One
        model with dropout, one target; what contract checks run on.
        """


def task_kind(data: DataConfig) -> TaskKind:
    """The task of a study's data."""
    kind: TaskKind = find_task(data.task)
    return kind
