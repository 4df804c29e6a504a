"""LESS: the rows whose Adam step points most where the target sample's gradients point.

What: a twin of the main model is warmed up on generic rows; there, generic rows are scored by the
cosine of the Adam step that each would cause with the target rows' gradients, averaged over these,
and those with the highest scores are kept.
Source: arXiv 2402.04333 section 3.1 and public code: with moments m, v of the warm-up's optimiser,
Gamma(g) = (b1 m + (1 - b1) g) / sqrt(b2 v + (1 - b2) g^2 + 1e-8), without bias correction; scores
of several checkpoints are summed by their learning rates.
Defaults: keep 5% (paper); one checkpoint, after a third of the run's steps of pretraining (ours).
Charged for: the warm-up, and a gradient of each target row and candidate at each checkpoint.
More: docs/methods/less.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.filters.static_selection import StaticHyperparameters, StaticSelection
from benchmark.api import (
    SCORING_ROWS,
    Choice,
    Task,
    UserError,
    build_optimizer,
    chunk_rows,
    flat_row_gradients,
    influence,
    scan,
    train_step,
    twin,
    unflattened,
)

EPSILON = 1e-8


class LessHyperparameters(StaticHyperparameters):
    """Settings of LESS."""

    for_checks: ClassVar[Mapping[str, Any]] = {"candidates": 400, "keep": 0.2}

    keep: Annotated[float, Field(gt=0, le=1), Choice((0.02, 0.05, 0.1))] = 0.05
    """Share of the generic corpus that is kept, whether or not all of it is scored."""

    form: Literal["cosine", "one_pass"] = "cosine"
    """``cosine``: of a row's Adam step and the target's gradients, with one gradient a row;
    ``one_pass``: their inner product, the step made linear in the gradient, in one forward-mode
    pass.
    """

    warmup_steps: Annotated[int | None, Field(ge=1)] = None
    """Steps of the warm-up; None: a third of the run's steps, at least one."""

    checkpoints: Annotated[int, Field(ge=1, le=64)] = 1
    """Points of the warm-up, evenly spaced up to its end, at which rows are scored."""

    candidates: Annotated[int, Field(ge=0)] = 0
    """Score a uniform subset of so many generic rows; 0: score all."""


class Less(StaticSelection):
    """The rows with the highest Adam-preconditioned influence."""

    name = "less"
    summary = "top fraction by Adam-preconditioned influence at warm-up checkpoints"
    revision = 2
    style = ("#0072B2", "^", "--")
    Hyperparameters = LessHyperparameters

    def __init__(self, task: Task, hyperparameters: LessHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        size = len(task.generic)
        self._candidates = hyperparameters.candidates or size
        if not self.kept_count <= self._candidates <= size:
            raise UserError(
                f"less: candidates {self._candidates} must be at least the {self.kept_count} rows "
                f"that keep {hyperparameters.keep} keeps, and at most the {size} generic rows; "
                "candidates 0 scores all rows"
            )
        self._warmup_steps = hyperparameters.warmup_steps or max(1, task.steps // 3)
        if hyperparameters.checkpoints > self._warmup_steps:
            raise UserError(
                f"less: checkpoints {hyperparameters.checkpoints} must be at most the "
                f"{self._warmup_steps} steps of the warm-up: lower it or raise warmup_steps"
            )

    def choose(self) -> np.ndarray:
        positions = self._draw_candidates()
        scores = self.scores(positions)
        return positions[np.argsort(-scores, kind="stable")[: self.kept_count]]

    def scores(self, positions: np.ndarray) -> np.ndarray:
        """Scores ``[n]`` of the generic rows at ``positions`` ``[n]``; higher is better."""
        settings = self.hyperparameters.model_dump(mode="json", exclude={"keep"})

        def compute() -> np.ndarray:
            total = np.zeros(len(positions))
            for number, (model, moments, rate) in enumerate(self._checkpoints()):
                toward = mean_unit_gradient(model, self.task.target_sample())
                if self.hyperparameters.form == "cosine":
                    of_part = partial(self._cosines, model, moments, toward)
                else:
                    of_part = partial(self._products, model, toward / moments.root())
                at = settings | {"checkpoint": number}
                total += rate * scan(self.task, "less checkpoint", at, positions, of_part)
            return total

        return self.task.once("less scores", settings, compute)

    def _checkpoints(self) -> Iterator[tuple[nn.Module, Moments, float]]:
        """A twin at points of its first steps of pretraining, its optimiser's moments there, and
        the mean learning rate since the last point.
        """
        model = twin(self.task.model)
        optimizer = build_optimizer(list(model.parameters()))
        count = self.hyperparameters.checkpoints
        ends = [self._warmup_steps * (number + 1) // count for number in range(count)]
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            rates = [self.task.learning_rate(step) for step in range(start, end)]
            for step, rate in zip(range(start, end), rates, strict=True):
                batch = self.task.generic_batch(step)
                train_step(self.task, model, optimizer, batch, rate, f"less warm-up {step}")
            # A warm-up of one step has a rate of 0, and its checkpoint counts all the same.
            weight = float(np.mean(rates)) if count > 1 else 1.0
            yield model, Moments.of(model, optimizer), weight

    def _draw_candidates(self) -> np.ndarray:
        size = len(self.task.generic)
        rng = self.task.rng(0, "less candidates")
        return np.sort(rng.choice(size, self._candidates, replace=False))

    def _cosines(
        self, model: nn.Module, moments: Moments, toward: Tensor, positions: np.ndarray
    ) -> np.ndarray:
        def of_part(rows: Tensor) -> Tensor:
            steps = moments.adam_step(flat_row_gradients(model, rows)[0])
            cosines: Tensor = steps @ toward / steps.norm(dim=1)
            return cosines

        return self._by_part(of_part, positions, chunk_rows(model))

    def _products(self, model: nn.Module, toward: Tensor, positions: np.ndarray) -> np.ndarray:
        direction = unflattened(toward, model)
        return self._by_part(
            lambda rows: influence(model, rows, direction), positions, SCORING_ROWS
        )

    def _by_part(
        self, of_part: Callable[[Tensor], Tensor], positions: np.ndarray, size: int
    ) -> np.ndarray:
        parts = [positions[start : start + size] for start in range(0, len(positions), size)]
        found = [of_part(self.task.generic_rows(part).rows) for part in parts]
        return torch.cat(found).cpu().numpy().astype(np.float64)


@dataclass(frozen=True)
class Moments:
    """Adam's running means of the gradient and of its square ``[P]``, and their decay rates."""

    first: Tensor
    second: Tensor
    decay: tuple[float, float]

    @classmethod
    def of(cls, model: nn.Module, optimizer: torch.optim.AdamW) -> Moments:
        """The moments that ``optimizer`` has of the parameters of ``model`` now."""
        states = [optimizer.state[value] for value in model.parameters()]
        return cls(
            first=torch.cat([state["exp_avg"].flatten() for state in states]),
            second=torch.cat([state["exp_avg_sq"].flatten() for state in states]),
            decay=optimizer.param_groups[0]["betas"],
        )

    def root(self) -> Tensor:
        """``sqrt(b2 v + 1e-8)`` ``[P]``."""
        return (self.decay[1] * self.second + EPSILON).sqrt()

    def adam_step(self, g: Tensor) -> Tensor:
        """``Gamma(g) = (b1 m + (1 - b1) g) / sqrt(b2 v + (1 - b2) g^2 + 1e-8)`` for ``[n, P]``."""
        b1, b2 = self.decay
        root = (b2 * self.second + (1 - b2) * g.square() + EPSILON).sqrt()
        return (b1 * self.first + (1 - b1) * g) / root


def mean_unit_gradient(model: nn.Module, rows: Tensor) -> Tensor:
    """Mean ``[P]`` of the gradients of ``rows`` ``[n, T]``, each scaled to length one."""
    total = torch.zeros(0)
    for part in rows.split(chunk_rows(model)):
        units = torch.nn.functional.normalize(flat_row_gradients(model, part)[0], dim=1).sum(0)
        total = total + units if len(total) else units
    return total / len(rows)
