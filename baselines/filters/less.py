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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.filters.static_selection import StaticHyperparameters, StaticSelection
from benchmark.api import (
    Choice,
    Direction,
    RowGradients,
    Task,
    UserError,
    influence,
    rows_at_once,
    scan,
    step_along,
    train_step,
    twin,
)

EPSILON = 1e-8
SHORTEST = 1e-12
"""A gradient that is shorter counts as none."""
GRADIENT_ROWS = 32
"""Rows whose gradients are taken at a time: of a small model, they stay in cache."""


class LessHyperparameters(StaticHyperparameters):
    """Settings of LESS."""

    # Of images the best aligned rows may be of one label, from which nothing is learnt.
    for_checks: ClassVar[Mapping[str, Any]] = {"candidates": 0, "keep": 0.7}

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
    chooses_by = "gradient"
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
                    of_part = partial(self._products, model, moments.preconditioned(toward))
                at = settings | {"checkpoint": number}
                total += rate * scan(self.task, "less checkpoint", at, positions, of_part)
            return total

        return self.task.once("less scores", settings, compute)

    def _checkpoints(self) -> Iterator[tuple[nn.Module, Moments, float]]:
        """A twin at points of its first steps of pretraining, its optimiser's moments there, and
        the mean learning rate since the last point.
        """
        model = twin(self.task.model)
        optimizer = self.task.optimizer(model.parameters())
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
        self, model: nn.Module, moments: Moments, toward: Direction, positions: np.ndarray
    ) -> np.ndarray:
        def of_part(rows: Tensor) -> Tensor:
            products = squares = torch.zeros(len(rows), device=rows.device)
            for name, numbers, gradients in RowGradients(model, rows).pieces():
                steps = moments.adam_step(name, numbers, gradients)
                products = products + steps @ toward[name].flatten()[numbers]
                squares = squares + torch.linalg.vecdot(steps, steps)
            return products / squares.sqrt()

        rows = self.task.generic_rows(positions).rows
        parts = rows.split(rows_at_once(model, GRADIENT_ROWS))
        return torch.cat([of_part(part) for part in parts]).cpu().numpy().astype(np.float64)

    def _products(self, model: nn.Module, toward: Direction, positions: np.ndarray) -> np.ndarray:
        found = influence(model, self.task.generic_rows(positions).rows, toward)
        return found.cpu().numpy().astype(np.float64)


@dataclass(frozen=True)
class Moments:
    """Adam's running means of the gradient and of its square, by parameter; their decay rates."""

    first: Direction
    second: Direction
    decay: tuple[float, float]

    @classmethod
    def of(cls, model: nn.Module, optimizer: torch.optim.AdamW) -> Moments:
        """The moments that ``optimizer`` has of the parameters of ``model`` now."""
        states = {name: optimizer.state[value] for name, value in model.named_parameters()}
        return cls(
            first={name: state["exp_avg"].clone() for name, state in states.items()},
            second={name: state["exp_avg_sq"].clone() for name, state in states.items()},
            decay=optimizer.param_groups[0]["betas"],
        )

    def preconditioned(self, u: Direction) -> Direction:
        """``u / sqrt(b2 v + 1e-8)``."""
        b2 = self.decay[1]
        return {name: u[name] / (b2 * v + EPSILON).sqrt() for name, v in self.second.items()}

    def adam_step(self, name: str, numbers: slice, g: Tensor) -> Tensor:
        """``Gamma(g) = (b1 m + (1 - b1) g) / sqrt(b2 v + (1 - b2) g^2 + 1e-8)`` for ``[n, k]``.

        ``g`` are some ``numbers`` of the flattened parameter ``name``.
        """
        b1, b2 = self.decay
        m, v = (moment[name].flatten()[numbers] for moment in (self.first, self.second))
        # Few passes over the gradients, and in place: most of the time goes into memory.
        inverse_root = torch.addcmul(b2 * v + EPSILON, g, g, value=1 - b2).rsqrt_()
        return torch.add(b1 * m, g, alpha=1 - b1).mul_(inverse_root)


def mean_unit_gradient(model: nn.Module, rows: Tensor) -> Direction:
    """Mean of the gradients of ``rows`` ``[n, T]``, each scaled to length one."""
    total = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    for part in rows.split(rows_at_once(model, GRADIENT_ROWS)):
        gradients = RowGradients(model, part)
        squares = torch.stack([(g * g).sum(1) for _, _, g in gradients.pieces()]).sum(0)
        scales = squares.sqrt().clamp(min=SHORTEST).reciprocal()
        total = step_along(total, gradients.combined(scales / len(rows)), 1.0)
    return total
