"""The contract of a method, and nothing else.

A method is one file with one subclass of :class:`Baseline`. It says at each step which examples
the main model trains on; everything it knows it takes from its :class:`~benchmark.api.task.Task`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer
from torch import Tensor

from benchmark.api.task import Task
from benchmark.core.frozen import Frozen
from benchmark.models.batch import Batch


@dataclass(frozen=True)
class Choice:
    """A hyper-parameter to tune over a few values."""

    continuous: ClassVar[bool] = False

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value at a share, from 0 to below 1, of the list."""
        return self.values[int(share * len(self.values))]


@dataclass(frozen=True)
class LogUniform:
    """A hyper-parameter to tune between two positive numbers, uniformly in its logarithm."""

    continuous: ClassVar[bool] = True

    low: float
    high: float

    def at(self, share: float) -> float:
        """The number at a share, from 0 to below 1, of the way from ``low`` to ``high``."""
        return float(self.low * (self.high / self.low) ** share)


class Hyperparameters(Frozen):
    """Validated settings of a method; a field annotated with a space above is searched over."""

    for_checks: ClassVar[Mapping[str, Any]] = {}
    """Settings that make the method quick to check, where its defaults are not."""

    later: ClassVar[tuple[str, ...]] = ()
    """Settings that came after results had been published, whose defaults change nothing: at
    their defaults they are left out of what is recorded, so that runs keep their keys.
    """

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = dump(self)
        unused = {k for k in self.later if getattr(self, k) == type(self).model_fields[k].default}
        return {name: value for name, value in content.items() if name not in unused}

    @classmethod
    def search_space(cls) -> dict[str, Choice | LogUniform]:
        """The declared space of each hyper-parameter that has one."""
        return {
            name: space
            for name, field in cls.model_fields.items()
            for space in field.metadata
            if isinstance(space, Choice | LogUniform)
        }

    def reads(self) -> frozenset[str]:
        """What rows must be for the method, of ``text``, ``tokens`` and ``pixels``, any of them.

        Empty for a method that knows rows by the main model's losses and gradients only.
        """
        return frozenset()

    def phase(self, step: int, steps: int) -> str:  # noqa: ARG002
        """What kind of step this is of a run of ``steps``; for methods whose steps differ.

        Steps of one phase do the same work, so that their cost is counted once. Leading steps of
        phase :data:`PRETRAINING` are plain pretraining, without any state or figure of the
        method's: runs that share them compute them once.
        """
        return ""


Downsampling = Annotated[int | None, Field(ge=2, le=1024)]
"""Type of ``downsampling``, for methods that search over other values of it."""


class DownsamplingHyperparameters(Hyperparameters):
    """Settings of methods that train on the best rows of a bigger generic batch.

    The space holds what arXiv 2311.11973 chose among (32, 64, 128; 32, 64 for CDS). A method with
    another declares the setting again: ``downsampling: Annotated[Downsampling, Choice((64, 256))]``
    """

    downsampling: Annotated[Downsampling, Choice((8, 16, 32, 64, 128))] = None
    """Rows scored for each row trained on; None: the whole big batch that the study offers."""


class Baseline(ABC):
    """A way of choosing what the main model trains on.

    ``task`` is all that a method knows (`benchmark.api.Task`), ``hyperparameters`` an instance of
    its ``Hyperparameters``.
    """

    name: ClassVar[str]
    """How studies call the method."""

    summary: ClassVar[str]
    """What it does, in one line."""

    Hyperparameters: ClassVar[type[Hyperparameters]] = Hyperparameters

    revision: ClassVar[int] = 1
    """Counts the changes that moved the method's results: part of the key of its runs from 2 on."""

    state: ClassVar[tuple[str, ...]] = ()
    """Attributes that must survive a restart: modules, optimisers, tensors, arrays, numbers."""

    keeps_best: bool = False
    """Whether the best step on valid counts as trained, by the rule of fine-tuning, and not the
    last. The training loop looks at valid; the method does not.
    """

    chooses_by: ClassVar[Literal["classifier", "importance", "gradient"] | None] = None
    """What tells the rows that it takes from others: a classifier of text, importance weights of
    n-grams, or agreement with the target's gradient. `adaptbench recommend` measures what such a
    choice is worth; None: none of these.
    """

    style: ClassVar[tuple[str, str, str] | None] = None
    """Colour, marker and line in figures, as literals; None: derived from the name."""

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        self.task = task
        self.hyperparameters = hyperparameters

    def prepare(self) -> None:  # noqa: B027 (most methods have nothing to prepare)
        """Once, before training: fit a classifier, train a reference model ... (charged)."""

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """The examples that the main model trains on at ``step``, and their weights."""

    def observe(self, step: int) -> Mapping[str, float | Tensor]:  # noqa: ARG002
        """After the model's update: figures worth recording, tensors of one number included."""
        return {}


class OnlineSelector(Baseline):
    """A method that learns, from the main model as it trains, which examples help the target.

    The diagnostic foretells what these gain.
    """

    chooses_by = "gradient"
