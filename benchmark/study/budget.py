"""The budgets and optimisers that all methods of a study share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from benchmark.core.frozen import Frozen
from benchmark.models.protocol import OptimiserConfig, PassConfig

Count = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TrainingConfig(OptimiserConfig, PassConfig):
    """The budget and optimiser that every method shares; the optimiser's defaults are the paper's.

    The learning rate rises linearly from 0 over ``warmup`` steps (arXiv 2311.11973) and goes on as
    ``schedule`` says. ``big_batch`` generic rows are offered at each step; ``batch`` of them are
    trained on. Auxiliary models and fine-tuning have the same optimiser.
    """

    steps: Count
    """Updates of the main model."""
    batch: Count = 32
    big_batch: Count = 1024
    rate: Rate = 2e-3
    """Peak learning rate, reached after ``warmup`` steps."""
    warmup: Count = 100
    evaluate_every: Count = 100
    """Steps between evaluations, which also save a checkpoint."""

    omitted: ClassVar[frozenset[str]] = OptimiserConfig.omitted | PassConfig.omitted

    @model_validator(mode="after")
    def _micro_batches_fill_a_batch(self) -> TrainingConfig:
        if self.micro_batch is not None and self.batch % self.micro_batch:
            raise ValueError(
                f"micro_batch: {self.micro_batch} rows do not divide batch {self.batch}: give one "
                f"of {', '.join(str(n) for n in range(1, self.batch + 1) if self.batch % n == 0)}"
            )
        return self

    @model_validator(mode="after")
    def _warmup_ends_in_time(self) -> TrainingConfig:
        last = {"cosine": self.steps - 1, "wsd": self.falls_from(self.steps)}.get(self.schedule)
        if last is not None and self.warmup > last:
            raise ValueError(
                f"warmup: {self.warmup} steps end after step {last}, from which on schedule "
                f"{self.schedule} lets the rate fall: lower warmup"
            )
        return self

    def learning_rate(self, step: int) -> float:
        """The main model's learning rate at ``step``."""
        return self.rate_at(step, self.steps, self.rate, self.warmup)

    def rows_scored(self, hyperparameters: Mapping[str, Any]) -> int:
        """Generic rows that a step looks at: ``downsampling`` batches, or all that are offered."""
        downsampling = hyperparameters.get("downsampling")
        return self.big_batch if downsampling is None else int(downsampling) * self.batch


class FineTuningConfig(Frozen):
    """The stage that follows every method: target sample only, stopped early on valid.

    A fresh AdamW with a linear warm-up to a constant rate; the best step on valid counts,
    step 0 (no fine-tuning) included; ``patience`` evaluations without a better one end it.
    """

    steps: Count
    """Updates at most, on batches of ``training.batch`` rows."""
    rate: Rate = 1e-3
    """Learning rate after the warm-up."""
    warmup: Count = 10
    """Steps in which the rate rises to ``rate``."""
    evaluate_every: Count = 25
    """Steps between evaluations on valid."""
    patience: Count = 3
