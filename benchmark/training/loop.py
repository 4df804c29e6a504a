"""The one training loop, from the first step to the end of fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmark.api.cost import CostMeter
from benchmark.api.kept import Kept
from benchmark.api.state import restore, state_of
from benchmark.core.parts import MAIN_UPDATE, timed
from benchmark.core.randomness import derived_key
from benchmark.models.batch import Batch
from benchmark.models.checkpoint import (
    load_checkpoint,
    load_model_state,
    model_state,
    save_checkpoint,
)
from benchmark.models.evaluation import mean_token_loss
from benchmark.models.optimisation import build_optimizer, update
from benchmark.models.parallel import DriftGuard, any_process, is_first, wait_for_all
from benchmark.models.protocol import warmed_up
from benchmark.models.transfer import Later, read_all
from benchmark.study.records import StageResult
from benchmark.study.stages import BEST_STEP, Stage
from benchmark.study.study import RunSpec
from benchmark.tasks import task_kind
from benchmark.training.beginnings import SharedStage
from benchmark.training.domain_counts import DomainCounter
from benchmark.training.hooks import DivergedError, Hooks, InterruptedRunError
from benchmark.training.progress import Progress, copied_weights
from benchmark.training.start import task_of

if TYPE_CHECKING:
    from benchmark.api.baseline import Baseline
    from benchmark.data import PreparedData


class _Pending(NamedTuple):
    """The loss of a step that the device may still be at."""

    stage: Stage
    step: int
    loss: Later


class Trainer:
    """One run: a main model, a method, the data; resumable at any step to the same bits.

    On several processes each has a trainer; the first alone writes the checkpoint and reports.
    """

    def __init__(
        self,
        spec: RunSpec,
        data: PreparedData,
        model: nn.Module,
        method: type[Baseline],
        checkpoint: Path,
        hooks: Hooks,
        stage: SharedStage | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.spec, self.data, self.model = spec, data, model
        self.checkpoint, self.stage = checkpoint, stage
        self.hooks = hooks if is_first() else Hooks(should_stop=hooks.should_stop)
        self.meter = CostMeter()
        self.kind = task_kind(spec.data)
        self.task = task_of(spec, data, model, self.meter, kept, self._stop_between_parts)
        hyperparameters = method.Hyperparameters.model_validate(spec.method.hyperparameters)
        self.method = method(self.task, hyperparameters)
        self.optimizer = build_optimizer(model.parameters(), spec.training)
        self._compiled = torch.compile(model) if spec.training.compile else None
        self.domains = DomainCounter(data.generic, data.report.domain_rows)
        self.drift_guard = DriftGuard()
        self.progress = Progress()
        self._pending: _Pending | None = None

    def run(self) -> tuple[StageResult, ...]:
        """Train, fine-tune, score; the result of each stage.

        Raises:
            DivergedError: a loss is not finite.
            InterruptedRunError: ``should_stop`` said so; running again goes on from there.
            LostProcessError: another process of the run has ended.
            ProcessesDifferError: the run's processes have drifted apart.
        """
        self._restore()
        self.drift_guard.check(self.model.parameters())
        if self.progress.stage == "trained":
            self._train()
            if self.method.keeps_best:
                self._close_at_best()
            else:
                self._close_stage(self.spec.training.steps, "last step")
            self._open_fine_tuning()
        self._fine_tune()
        self._close_at_best()
        return tuple(StageResult.model_validate(result) for result in self.progress.results)

    def _train(self) -> None:
        settings = self.spec.training
        if not self.progress.prepared:
            self.prepare()
            if self.method.keeps_best:
                loss = mean_token_loss(self.model, self.data.target_valid)
                self.progress.keep_if_best(self.model, loss)
            self.save()
        for step in range(self.progress.step, settings.steps):
            self._stop_if_asked()
            if self.stage is not None and 0 < step == self.stage.steps:
                self.stage.publish(self._state())
            try:
                figures = self.make_step(step, settings.learning_rate(step))
            except Exception:
                self._settle()  # what a method makes of a loss that is not finite says less
                raise
            if self._due(settings.evaluate_every, settings.steps):
                loss = self._evaluate(figures)["valid_loss"]
                if self.method.keeps_best:
                    self.progress.keep_if_best(self.model, loss)
                self.save()

    def prepare(self) -> None:
        """The method's preparation, once and before any step."""
        with self.meter.charge("preparation"):
            self.method.prepare()
        self.progress.prepared = True

    def make_step(self, step: int, rate: float) -> Mapping[str, float | Tensor]:
        """One step of training at a learning ``rate``; the figures that the method observes."""
        method, steps = self.method, self.spec.training.steps
        phase = method.hyperparameters.phase(step, steps)
        with self.meter.charge("selection", phase):
            batch = method.batch(step)
        self._update(batch, rate, steps)
        with self.meter.charge("selection", f"observe {phase}"):
            return method.observe(step)

    def _fine_tune(self) -> None:
        settings, progress = self.spec.fine_tuning, self.progress
        longest_wait = settings.patience * settings.evaluate_every
        for step in range(progress.step, settings.steps):
            if step - progress.best_step >= longest_wait:
                break
            self._stop_if_asked()
            with self.meter.charge("selection", "fine-tuning"):
                batch = self.task.target_batch(step, stream="fine-tuning")
            self._update(batch, warmed_up(step, settings.rate, settings.warmup), settings.steps)
            if self._due(settings.evaluate_every, settings.steps):
                self.progress.keep_if_best(self.model, self._evaluate({})["valid_loss"])
                self.save()

    def _update(self, batch: Batch, rate: float, steps: int) -> None:
        progress = self.progress
        # Dropout must not depend on what a method drew before.
        torch.manual_seed(derived_key(self.spec.seed, progress.stage, progress.step))
        known = batch.gradients is not None
        kind = f"{len(batch)} rows, {'known' if known else 'new'} gradients"
        # Compiled passes are not seen by the meter: the first of a kind is made as it is.
        forward = self._compiled if self.meter.knows("training", kind) else None
        with self.meter.charge("training", kind), timed(MAIN_UPDATE):
            self.task.last_update = update(self.model, self.optimizer, batch, rate, forward)
        # The loss of the step before, read after this one was asked for: the device never waits.
        self._settle()
        self._pending = _Pending(progress.stage, progress.step, Later(self.task.last_update.value))
        self.drift_guard.add(batch.positions, batch.weights)
        self.meter.count_examples(len(batch))
        self.domains.add(batch.positions)
        progress.step += 1
        if math.isnan(progress.last_loss):
            self._settle()
        self.hooks.on_step(progress.stage, progress.step, steps, progress.last_loss)

    def _settle(self) -> None:
        """Take in the loss of the last step.

        Raises:
            DivergedError: it is not finite.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            loss = pending.loss.read()
            if not math.isfinite(loss):
                raise DivergedError(pending.stage, pending.step, f"training loss is {loss}")
            self.progress.count_loss(loss)

    def _evaluate(self, figures: Mapping[str, float | Tensor]) -> dict[str, Any]:
        """Measure on valid and on held-out generic rows, and publish the measurements."""
        self._settle()
        self.drift_guard.check(self.model.parameters())
        progress = self.progress
        bill = self.meter.bill()
        line = {
            "stage": progress.stage,
            "step": progress.step,
            "train_loss": progress.take_mean_loss(),
            "valid_loss": mean_token_loss(self.model, self.data.target_valid),
            "generic_loss": mean_token_loss(self.model, self.data.generic_valid),
            "flops": bill.flops,
            "seconds": bill.seconds,
            "examples": bill.examples,
            **self.domains.figures(),
            **read_all(figures),
        }
        for name in ("valid_loss", "generic_loss"):
            self._require_finite(line[name], name.replace("_", " "))
        progress.metrics.append(line)
        self.hooks.on_metrics(progress.metrics)
        return line

    def _close_at_best(self) -> None:
        """Go back to the stage's best step on valid, and score that."""
        load_model_state(self.model, self.progress.best_weights)
        self._close_stage(self.progress.best_step, BEST_STEP)

    def _close_stage(self, step: int, rule: str) -> None:
        """Score the stage's model on test, once."""
        losses: dict[str, Any] = {
            "valid_loss": mean_token_loss(self.model, self.data.target_valid),
            "test_loss": mean_token_loss(self.model, self.data.target_test),
            "generic_loss": mean_token_loss(self.model, self.data.generic_valid),
        }
        for name, value in losses.items():
            self._require_finite(value, name.replace("_", " "))
        scores = self.kind.scores(self.model, self.data.target_test, self.spec.data)
        where: dict[str, Any] = {"stage": self.progress.stage, "step": step, "rule": rule}
        result = StageResult(**where, cost=self.meter.bill(), scores=scores, **losses)
        self.progress.results.append(result.model_dump())

    def _open_fine_tuning(self) -> None:
        progress = self.progress
        self.optimizer = build_optimizer(self.model.parameters(), self.spec.training)
        progress.stage, progress.step, progress.best_loss = "fine_tuned", 0, math.inf
        progress.last_loss = math.nan
        progress.trained_weights = copied_weights(self.model)
        self.progress.keep_if_best(self.model, progress.results[0]["valid_loss"])
        self.save()

    def _due(self, every: int, steps: int) -> bool:
        return self.progress.step % every == 0 or self.progress.step == steps

    def _require_finite(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise DivergedError(self.progress.stage, self.progress.step, f"{what} is {value}")

    def _stop_if_asked(self) -> None:
        if any_process(self.hooks.should_stop()):
            self.save()
            raise InterruptedRunError

    def _stop_between_parts(self) -> None:
        """Of what a method computes once; the last checkpoint stands."""
        if any_process(self.hooks.should_stop()):
            raise InterruptedRunError

    def save(self) -> None:
        """Write the checkpoint from which :meth:`run` goes on."""
        if is_first():
            save_checkpoint(self.checkpoint, self._state())
        wait_for_all()

    def _state(self) -> dict[str, Any]:
        self._settle()
        return {
            "key": self.spec.key,
            "progress": vars(self.progress),
            "model": model_state(self.model),
            "optimizer": self.optimizer.state_dict(),
            "method": state_of(self.method),
            "meter": self.meter.state_dict(),
            "domains": self.domains.state_dict(),
        }

    def _restore(self) -> None:
        file = self.checkpoint if any_process(self.checkpoint.exists()) else self._shared()
        if file is None:
            return
        state = load_checkpoint(file, self.task.device)
        self.progress = Progress(**state["progress"])
        load_model_state(self.model, state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        restore(self.method, state["method"], at=f"{file}: ")
        self.meter.load_state_dict(state["meter"])
        self.domains.load_state_dict(state["domains"])

    def _shared(self) -> Path | None:
        return None if self.stage is None else self.stage.find()
