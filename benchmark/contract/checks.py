"""The checks, by name. Each returns what it saw in a few words, or raises a ContractError."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from benchmark.api.state import restore, state_of
from benchmark.api.task import Task
from benchmark.contract.errors import ContractError
from benchmark.contract.flops import check_cost
from benchmark.contract.hyperparameters import check_hyperparameters
from benchmark.contract.problem import FINE_TUNING_STEPS, STEPS
from benchmark.contract.trial import Trial, kill_after, stop_after
from benchmark.core.randomness import generator
from benchmark.methods.registry import find_method
from benchmark.models.batch import Batch
from benchmark.models.checkpoint import load_checkpoint, save_checkpoint, weights_hash
from benchmark.study.study import PRETRAINING
from benchmark.training.beginnings import declared_steps

if TYPE_CHECKING:
    from benchmark.training.loop import Trainer

LEARNING_STEPS = 50
LEARNS_BELOW = 0.9
"""Valid loss after LEARNING_STEPS, as a share of the untrained model's."""


def check_same_start(trial: Trial) -> str:
    """Same weights, stream and, where declared, beginning as every other method."""
    reference = Trial(find_method(PRETRAINING), trial.problem).trainer("reference")
    stream = stream_hash(reference.task)
    if trial.watch.changes:
        raise _broken(
            trial,
            "same_start",
            f"{trial.watch.changes[0]} changed the main model (its weights, or train/eval mode)",
            "work on a copy (benchmark.api.twin); only the training loop moves the model",
        )
    if trial.watch.first_weights != weights_hash(reference.model):
        raise _broken(
            trial,
            "same_start",
            "training starts from other weights than pretraining's",
            "leave the main model as it is before the first batch",
        )
    if stream_hash(trial.whole.task) != stream:
        raise _broken(
            trial,
            "same_start",
            "its task offers another generic stream than pretraining's",
            "leave the task's attributes as they are",
        )
    _check_beginning(trial, reference)
    return f"weights {trial.watch.first_weights[:8]}, stream {stream[:8]}"


def _check_beginning(trial: Trial, reference: Trainer) -> None:
    """A beginning declared as plain pretraining is that, since runs share it."""
    method = trial.trainer("beginning").method
    for step in range(declared_steps(type(method), method.hyperparameters, STEPS)):
        batch, plain = method.batch(step), reference.task.generic_batch(step)
        figures = method.observe(step)
        alike = batch.weights is None and np.array_equal(batch.positions, plain.positions)
        if not alike or figures or state_of(method):
            raise _broken(
                trial,
                "same_start",
                f"step {step} is declared as plain pretraining and is not: it has other rows, "
                "weights, figures or a state",
                "let phase be PRETRAINING only at steps that train on task.generic_batch(step)",
            )


def check_same_twice(trial: Trial) -> str:
    """Two runs with one seed are identical to the bit."""
    difference = trial.outcome.difference(trial.again)
    if difference:
        raise _broken(
            trial,
            "same_twice",
            f"two runs with one seed differ in {difference}",
            "take all randomness from task.rng, task.gumbel or task.derived_seed",
        )
    return f"{len(trial.outcome.figures)} figures and all weights equal"


def check_resume(trial: Trial) -> str:
    """Killed at random steps and resumed, a run ends in the bits of an uninterrupted one."""
    rng = generator("contract", trial.method.name)
    killed, stopped = int(rng.integers(1, STEPS // 2)), int(rng.integers(STEPS // 2, STEPS))
    tuned = int(rng.integers(1, FINE_TUNING_STEPS))
    where = f"killed after step {killed}, stopped after {stopped}, killed after {tuned} (tuning)"
    breaks = (
        kill_after("trained", killed),
        stop_after("trained", stopped),
        kill_after("fine_tuned", tuned),
    )
    difference = trial.again.difference(trial.in_pieces(breaks))
    if difference:
        raise _broken(
            trial,
            "resume",
            f"{where} and resumed, it differs in {difference}",
            "name all that changes in state, and draw randomness by step",
        )
    return where


def check_state(trial: Trial) -> str:
    """A state that went to the disk and back into a fresh method is the same state."""
    state = state_of(trial.whole.method)
    file = trial.whole.checkpoint.with_name("state.safetensors")
    save_checkpoint(file, {"state": state})
    fresh = trial.trainer("state").method
    restore(fresh, load_checkpoint(file)["state"])
    place = _first_difference(state, state_of(fresh), "state")
    if place:
        raise _broken(
            trial,
            "state",
            f"{place} is not the same after a restart",
            "let the attributes that state names load what they return, as it was",
        )
    return f"{len(state)} entries"


def check_held_out_rows(trial: Trial) -> str:
    """Valid and test rows are never read by the method, and never trained on."""
    if trial.watch.touched:
        raise _broken(
            trial,
            "held_out_rows",
            f"it read rows of {trial.watch.touched[0]}",
            "use nothing but what its task offers",
        )
    for step, batch in enumerate(trial.watch.batches):
        if trial.problem.held_out & _row_bytes(batch):
            raise _broken(
                trial,
                "held_out_rows",
                f"the batch of step {step} holds a row of a valid or test split",
                "train on rows of the generic corpus and of the target's train sample only",
            )
    return f"{len(trial.watch.batches)} batches"


def check_batches(trial: Trial) -> str:
    """Batches keep one size and hold the rows that they say they hold."""
    width, size = trial.problem.data.width, len(trial.watch.batches[0])
    if size == 0 or size % trial.whole.task.batch_size:
        raise _broken(
            trial,
            "batches",
            f"batch(0) has {size} rows, task.batch_size is {trial.whole.task.batch_size}",
            "return task.batch_size rows, or a whole multiple of it, which costs as much more",
        )
    sample = {row.tobytes() for row in trial.whole.task.target_sample().numpy()}
    for step, batch in enumerate(trial.watch.batches):
        wrong = _wrong_shape(batch, (size, width)) or _wrong_rows(batch, trial.whole, sample)
        if wrong:
            raise _broken(
                trial,
                "batches",
                f"batch({step}) {wrong}",
                "return rows as task.generic_rows, big_batch or target_batch give them, as many "
                "at each step",
            )
    return f"{size} rows each"


def check_weights(trial: Trial) -> str:
    """Weights are finite, non-negative and not all zero."""
    weighted = 0
    for step, batch in enumerate(trial.watch.batches):
        weighted += batch.weights is not None
        wrong = "" if batch.weights is None else _wrong_weights(batch.weights, len(batch))
        if wrong:
            raise _broken(
                trial,
                "weights",
                f"the weights of batch({step}) {wrong}",
                "give each row a finite weight of zero or more, or None for all ones",
            )
    return f"{weighted} weighted batches"


def check_learns(trial: Trial) -> str:
    """Fifty steps improve on the untrained model."""
    before = trial.problem.untrained_loss
    trainer = trial.trainer("learns", steps=LEARNING_STEPS)
    after = trainer.run()[0].valid_loss
    if not after < LEARNS_BELOW * before:
        raise _broken(
            trial,
            "learns",
            f"valid loss {after:.3f} after {LEARNING_STEPS} steps, {before:.3f} untrained",
            "check that batch(step) moves on through the data and that weights are not near zero",
        )
    return f"valid loss {before:.2f} to {after:.2f}"


CHECKS: dict[str, Callable[[Trial], str]] = {
    "held_out_rows": check_held_out_rows,
    "same_start": check_same_start,
    "batches": check_batches,
    "weights": check_weights,
    "same_twice": check_same_twice,
    "resume": check_resume,
    "state": check_state,
    "cost": check_cost,
    "learns": check_learns,
    "hyperparameters": check_hyperparameters,
}


def stream_hash(task: Task) -> str:
    """SHA-256 of the generic rows that a task offers at each step, in order."""
    digest = hashlib.sha256()
    for step in range(task.steps):
        big = task.big_batch(step)
        digest.update(big.positions.tobytes())
        digest.update(big.rows.cpu().numpy().tobytes())
    return digest.hexdigest()


def _broken(trial: Trial, check: str, seen: str, mend: str) -> ContractError:
    return ContractError(trial.method.name, check, seen, mend)


def _row_bytes(batch: Batch) -> set[bytes]:
    return {row.tobytes() for row in batch.rows.cpu().numpy()}


def _wrong_shape(batch: Batch, shape: tuple[int, int]) -> str:
    if tuple(batch.rows.shape) != shape:
        return f"has rows of shape {tuple(batch.rows.shape)}, not {shape}"
    if batch.rows.dtype != torch.int64:
        return f"has rows of {batch.rows.dtype}, not torch.int64"
    if batch.positions.shape != shape[:1]:
        return f"has positions of shape {batch.positions.shape}, not {shape[:1]}"
    return ""


def _wrong_rows(batch: Batch, trainer: Trainer, sample: set[bytes]) -> str:
    rows, generic = batch.rows.cpu().numpy(), batch.positions >= 0
    stored = trainer.data.generic.tokens(batch.positions[generic])
    if not np.array_equal(rows[generic], stored):
        return "has rows that are not the generic rows at its positions"
    if not {row.tobytes() for row in rows[~generic]} <= sample:
        return "has a row at position -1 that is not in the target's train sample"
    return ""


def _wrong_weights(weights: Tensor, count: int) -> str:
    if tuple(weights.shape) != (count,) or not weights.is_floating_point():
        return f"are {weights.dtype} of shape {tuple(weights.shape)}, not floats [{count}]"
    if weights.requires_grad:
        return "carry a graph (detach them)"
    if not bool(weights.isfinite().all()):
        return "are not all finite"
    if bool((weights < 0).any()):
        return f"go down to {float(weights.min()):.3g}"
    return "" if bool((weights > 0).any()) else "are all zero"


def _first_difference(a: Any, b: Any, at: str) -> str:
    """Where two trees of tensors and plain values first differ, empty if nowhere."""
    if isinstance(a, Tensor):
        same = isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a.cpu(), b.cpu())
        return "" if same else at
    if isinstance(a, dict):
        if not isinstance(b, dict) or a.keys() != b.keys():
            return at
        return next(filter(None, (_first_difference(a[k], b[k], f"{at}.{k}") for k in a)), "")
    if isinstance(a, list | tuple):
        if type(a) is not type(b) or len(a) != len(b):
            return at
        pairs = zip(a, b, strict=True)
        found = (_first_difference(x, y, f"{at}.{i}") for i, (x, y) in enumerate(pairs))
        return next(filter(None, found), "")
    return "" if a == b else at
