"""LESS-style selection: the rows whose Adam step would most lower the target loss.

What: a twin of the main model is warmed up on generic rows; at that checkpoint generic rows are
scored by the inner product of the target sample's gradient with the Adam step that the row would
cause, and the top fraction of them is kept.
Source: arXiv 2402.04333 section 3.1 and public code: with moments m, v of the warm-up's optimiser,
Gamma(g) = (b1 m + (1 - b1) g) / sqrt(b2 v + (1 - b2) g^2 + 1e-8), without bias correction. Form
``exact`` ranks by the cosine of grad L_target and Gamma(g_i), ``one_pass`` by <g_i, u> with
u = grad L_target / sqrt(b2 v + 1e-8), in one forward-mode pass (`influence`).
Defaults: keep 5% (paper); a warm-up of a third of the run's steps, those of plain pretraining.
Charged for: the warm-up, the target gradient and the scoring of every candidate.
More: docs/methods/less.md
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.filters.static_selection import StaticHyperparameters, StaticSelection
from benchmark.api import (
    SCORING_ROWS,
    Choice,
    Direction,
    Task,
    UserError,
    build_optimizer,
    dot,
    gradient,
    influence,
    step_along,
    token_share,
    train_step,
    twin,
)

EPSILON = 1e-8


class LessHyperparameters(StaticHyperparameters):
    """Settings of LESS-style selection."""

    for_checks: ClassVar[Mapping[str, Any]] = {"candidates": 256, "keep": 0.2}

    keep: Annotated[float, Field(gt=0, le=1), Choice((0.02, 0.05, 0.1))] = 0.05
    """Share of the scored rows that is kept."""

    form: Literal["one_pass", "exact"] = "one_pass"
    """``exact``: rank rows by the cosine of the target gradient and the row's Adam step, with one
    gradient a row; ``one_pass``: by their inner product, the step made linear in the gradient, in
    one forward-mode pass.
    """

    warmup_steps: Annotated[int | None, Field(ge=1)] = None
    """Steps of the warm-up; None: a third of the run's steps, at least one."""

    candidates: Annotated[int, Field(ge=0)] = 0
    """Score a uniform subset of so many generic rows; 0: score all."""


class Less(StaticSelection):
    """Top fraction by Adam-preconditioned influence."""

    name = "less"
    summary = "top fraction by Adam-preconditioned influence at a warm-up checkpoint"
    style = ("#0072B2", "^", "--")
    Hyperparameters = LessHyperparameters

    def __init__(self, task: Task, hyperparameters: LessHyperparameters) -> None:
        super().__init__(task, hyperparameters)
        size = len(task.generic)
        self._candidates = hyperparameters.candidates or size
        self.kept_count = round(self._candidates * hyperparameters.keep)
        if self._candidates > size or self.kept_count < task.batch_size:
            raise UserError(
                f"less: candidates {self._candidates} must be at most the {size} generic rows, and "
                f"keep {hyperparameters.keep} of them at least one batch of {task.batch_size}; "
                "candidates 0 scores all rows"
            )
        self._warmup_steps = hyperparameters.warmup_steps or max(1, task.steps // 3)

    def choose(self) -> np.ndarray:
        positions = self._draw_candidates()
        scores = self.scores(positions)
        return positions[np.argsort(-scores, kind="stable")[: self.kept_count]]

    def scores(self, positions: np.ndarray) -> np.ndarray:
        """Scores ``[n]`` of the generic rows at ``positions`` ``[n]``; higher is better."""
        model, moments = self._warm_up()
        target = mean_gradient(model, self.task.target_sample())
        if self.hyperparameters.form == "exact":
            return self._exact_scores(model, moments, target, positions)
        root = moments.root()
        direction = {name: value / root[name] for name, value in target.items()}
        blocks = np.array_split(positions, math.ceil(len(positions) / SCORING_ROWS))
        parts = [influence(model, self.task.generic_rows(part).rows, direction) for part in blocks]
        return torch.cat(parts).cpu().numpy()

    def _warm_up(self) -> tuple[nn.Module, Moments]:
        """A twin after its first steps of pretraining, and its optimiser's moments."""
        model = twin(self.task.model)
        optimizer = build_optimizer(list(model.parameters()))
        for step in range(self._warmup_steps):
            batch, rate = self.task.generic_batch(step), self.task.learning_rate(step)
            train_step(self.task, model, optimizer, batch, rate, f"less warm-up {step}")
        return model, Moments.of(model, optimizer)

    def _draw_candidates(self) -> np.ndarray:
        size = len(self.task.generic)
        rng = self.task.rng(0, "less candidates")
        return np.sort(rng.choice(size, self._candidates, replace=False))

    def _exact_scores(
        self, model: nn.Module, moments: Moments, target: Direction, positions: np.ndarray
    ) -> np.ndarray:
        scores = np.empty(len(positions))
        for number in range(len(positions)):
            row = self.task.generic_rows(positions[number : number + 1]).rows
            _, g = gradient(model, row, torch.ones(1, device=row.device))
            scores[number] = cosine(target, moments.adam_step(g))
        return scores


@dataclass(frozen=True)
class Moments:
    """Adam's running means of the gradient and of its square, and their decay rates."""

    first: Direction
    second: Direction
    decay: tuple[float, float]

    @classmethod
    def of(cls, model: nn.Module, optimizer: torch.optim.AdamW) -> Moments:
        """The moments that ``optimizer`` keeps of the parameters of ``model``."""
        states = {name: optimizer.state[value] for name, value in model.named_parameters()}
        return cls(
            first={name: state["exp_avg"] for name, state in states.items()},
            second={name: state["exp_avg_sq"] for name, state in states.items()},
            decay=optimizer.param_groups[0]["betas"],
        )

    def root(self, g: Direction | None = None) -> dict[str, Tensor]:
        """``sqrt(b2 v + (1 - b2) g^2 + 1e-8)``, by default without the term in g."""
        b2 = self.decay[1]
        squares = {name: b2 * v + EPSILON for name, v in self.second.items()}
        if g is not None:
            squares = {name: squares[name] + (1 - b2) * g[name].square() for name in g}
        return {name: square.sqrt() for name, square in squares.items()}

    def adam_step(self, g: Direction) -> dict[str, Tensor]:
        """``Gamma(g) = (b1 m + (1 - b1) g) / sqrt(b2 v + (1 - b2) g^2 + 1e-8)``."""
        b1, root = self.decay[0], self.root(g)
        return {name: (b1 * m + (1 - b1) * g[name]) / root[name] for name, m in self.first.items()}


def cosine(a: Direction, b: Direction) -> float:
    """Cosine of the angle between two directions."""
    return float(dot(a, b) / (dot(a, a) * dot(b, b)).sqrt())


def mean_gradient(model: nn.Module, rows: Tensor) -> dict[str, Tensor]:
    """Gradient of the mean token loss of ``rows`` ``[n, T]``, a part of them at a time."""
    total: dict[str, Tensor] = {}
    shares = token_share(rows).split(SCORING_ROWS)
    for part, weights in zip(rows.split(SCORING_ROWS), shares, strict=True):
        found = gradient(model, part, weights)[1]
        total = step_along(total, found, 1.0) if total else found
    return total
