"""Methods that each break the contract in one way."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, model_validator

from baselines.pretraining import Pretraining
from benchmark.api import PRETRAINING, Baseline, Choice, Hyperparameters
from benchmark.api.auxiliary import score, twin
from benchmark.api.task import Task
from benchmark.models.batch import Batch
from benchmark.models.checkpoint import load_model_state, model_state
from benchmark.models.optimisation import build_optimizer, update
from benchmark.training.loop import Trainer


class Broken(Pretraining):
    """Pretraining, to be broken."""

    name = "broken"


def caller() -> Trainer:
    """The trainer, which no method should get hold of."""
    frame = sys._getframe()
    while not isinstance(frame.f_locals.get("self"), Trainer):
        assert frame.f_back is not None
        frame = frame.f_back
    found: Trainer = frame.f_locals["self"]
    return found


class PeeksAtTest(Broken):
    def prepare(self) -> None:
        caller().data.target_test.tokens(np.arange(3))


class PeeksAtValidDomainsQuietly(Broken):
    def observe(self, step: int) -> Mapping[str, float]:
        try:
            caller().data.generic_valid.domains(np.array([step]))
        except Exception:
            return {"peeked": 1.0}
        return {}


class TrainsOnValid(Broken):
    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        view = caller().data.target_valid
        self.stolen = torch.from_numpy(view._tokens(np.arange(8)))  # type: ignore[attr-defined]

    def batch(self, step: int) -> Batch:
        return Batch(self.stolen, super().batch(step).positions)


class ReadsTheStore(Broken):
    def batch(self, step: int) -> Batch:
        self.task.generic.store  # type: ignore[attr-defined] # noqa: B018
        return super().batch(step)


class StartsElsewhere(Broken):
    def prepare(self) -> None:
        with torch.no_grad():
            next(self.task.model.parameters()).mul_(1.01)


class MovesTheModel(Broken):
    def observe(self, step: int) -> Mapping[str, float]:
        model = self.task.model
        loss = update(model, build_optimizer([*model.parameters()]), super().batch(step), 1e-3)
        return {"loss": loss.loss}


class LeavesEvaluationMode(Broken):
    def batch(self, step: int) -> Batch:
        self.task.model.eval()
        return super().batch(step)


class ShiftsTheStream(Broken):
    def prepare(self) -> None:
        self.task.big_batch_size -= 8


class ThreeOfPretraining(Hyperparameters):
    def phase(self, step: int, steps: int) -> str:  # noqa: ARG002
        return PRETRAINING if step < 3 else ""


class DeclaresAnothersBeginning(Broken):
    Hyperparameters = ThreeOfPretraining

    def batch(self, step: int) -> Batch:
        return self.task.generic_batch(step + step // 2)


class HalvesTheBatch(Broken):
    def batch(self, step: int) -> Batch:
        return super().batch(step).take(torch.arange(self.task.batch_size // 2))


class MakesRowsUp(Broken):
    def batch(self, step: int) -> Batch:
        batch = super().batch(step)
        return dataclasses.replace(batch, rows=batch.rows.flip(1))


class CallsGenericRowsTarget(Broken):
    def batch(self, step: int) -> Batch:
        batch = super().batch(step)
        return dataclasses.replace(batch, positions=np.full(len(batch), -1))


class Weighted(Broken):
    weight = 1.0

    def batch(self, step: int) -> Batch:
        weights = torch.ones(self.task.batch_size)
        weights[0] = self.weight
        return dataclasses.replace(super().batch(step), weights=weights)


class NegativeWeight(Weighted):
    weight = -0.1


class InfiniteWeight(Weighted):
    weight = float("inf")


class WeightsWithGraph(Broken):
    def batch(self, step: int) -> Batch:
        weights = torch.ones(self.task.batch_size, requires_grad=True)
        return dataclasses.replace(super().batch(step), weights=weights * 1.0)


class TooFewWeights(Broken):
    def batch(self, step: int) -> Batch:
        return dataclasses.replace(super().batch(step), weights=torch.ones(1))


class Shuffled(Broken):
    """Half of two batches, drawn by a generator that a subclass names."""

    def draw(self) -> torch.Tensor:
        raise NotImplementedError

    def batch(self, step: int) -> Batch:
        return self.task.big_batch(step, 2).take(self.draw()[: self.task.batch_size])


class Unseeded(Shuffled):
    def draw(self) -> torch.Tensor:
        return torch.from_numpy(np.random.default_rng().permutation(16))


class GloballySeeded(Shuffled):
    def draw(self) -> torch.Tensor:
        return torch.from_numpy(np.random.permutation(16))


class ForgetsItsGenerator(Shuffled):
    """The same in every run, but not in a resumed one."""

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        self.generator = np.random.default_rng(task.seed)

    def draw(self) -> torch.Tensor:
        return torch.from_numpy(self.generator.permutation(16))


class Forgetful:
    count = 0

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class LosesItsState(Broken):
    state = ("counter",)

    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        self.counter = Forgetful()

    def batch(self, step: int) -> Batch:
        self.counter.count += 1
        return super().batch(step)


class MisnamesItsState(Broken):
    state = ("cuonter",)


class HidesRareWork(Broken):
    """Every other step costs much more than those that the meter counted."""

    def batch(self, step: int) -> Batch:
        if step % 2 == 0:
            return self.task.generic_batch(step)
        big = self.task.big_batch(step)
        return big.take(score(self.task.model, big.rows).topk(self.task.batch_size).indices)


class ChangesItsSize(Broken):
    def batch(self, step: int) -> Batch:
        return self.task.generic_batch(step, self.task.batch_size * (1 + step % 2))


class WorksInItsConstructor(Broken):
    def __init__(self, task: Task, hyperparameters: Any) -> None:
        super().__init__(task, hyperparameters)
        score(task.model, task.target_sample())


class UndoesTraining(Broken):
    def prepare(self) -> None:
        self.initial = model_state(twin(self.task.model))

    def observe(self, step: int) -> Mapping[str, float]:  # noqa: ARG002
        load_model_state(self.task.model, self.initial)
        return {}


class NoRange(Hyperparameters):
    rate: float = 1.0


class HalfARange(Hyperparameters):
    share: Annotated[float, Field(allow_inf_nan=False)] = 0.5


class IgnoresUnknown(Hyperparameters, extra="ignore"):
    pass


class TunesOutOfRange(Hyperparameters):
    share: Annotated[float, Field(gt=0, lt=1), Choice((0.5, 2.0))] = 0.5


class UnclearRefusal(Hyperparameters):
    rate: float = 0.5

    @model_validator(mode="after")
    def _positive(self) -> UnclearRefusal:
        if not 0 < self.rate < 1:
            raise ValueError("no")
        return self


def with_settings(settings: type[Hyperparameters]) -> type[Baseline]:
    """Pretraining with those hyper-parameters."""
    return type(settings.__name__, (Broken,), {"Hyperparameters": settings})
