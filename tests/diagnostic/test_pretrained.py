"""Checkpoints: those of the training loop, made once, resumable, refused if they do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.core.errors import UserError
from benchmark.data import PreparedData
from benchmark.diagnostic.pretrained import Checkpoint, Pretraining, given, put_into
from benchmark.methods.registry import find_method
from benchmark.models.checkpoint import save_checkpoint, weights_hash
from benchmark.models.config import ModelConfig, TransformerConfig
from benchmark.study.environment import describe
from benchmark.study.study import RunSpec
from benchmark.training.beginnings import SharedStage
from benchmark.training.hooks import Hooks
from benchmark.training.loop import Trainer
from benchmark.training.start import initial_model
from tests.diagnostic.conftest import STEPS


def pretraining(
    spec: RunSpec, data: PreparedData, cache: Path, steps: list[int] | None = None
) -> Pretraining:
    """Pretraining that notes its steps."""
    seen = [] if steps is None else steps
    environment = describe("cpu", 1)
    return Pretraining(spec, data, cache, environment, lambda step, *_: seen.append(step))


def test_they_are_the_weights_of_the_training_loop(
    spec: RunSpec, data: PreparedData, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    model = initial_model(spec, data)
    passed: dict[int, str] = {}
    hooks = Hooks(on_step=lambda stage, step, *_: note(stage, step))

    def note(stage: str, step: int) -> None:
        if stage == "trained" and step in (STEPS // 4, STEPS):
            passed[step] = weights_hash(model)

    method = find_method("pretraining")
    Trainer(spec, data, model, method, tmp_path / "run.safetensors", hooks).run()
    ours = {each.step: put_into(initial_model(spec, data), each) for each in checkpoints}
    assert ours == passed
    assert [each.label for each in checkpoints] == ["25%", "100%"]


def test_made_once_and_only_as_far_as_needed(
    spec: RunSpec, data: PreparedData, tmp_path: Path
) -> None:
    steps: list[int] = []
    first = pretraining(spec, data, tmp_path, steps).checkpoints((0.1, 0.2))
    assert steps == list(range(1, 25))
    steps.clear()
    again = pretraining(spec, data, tmp_path, steps).checkpoints((0.1, 0.2))
    assert steps == []
    for one, other in zip(first, again, strict=True):
        assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    # A longer one goes on from the beginning that was published on the way.
    pretraining(spec, data, tmp_path, steps).checkpoints((0.1, 0.3))
    assert steps == list(range(13, 37))


def test_interrupted_it_goes_on_to_the_same_bits(
    spec: RunSpec, data: PreparedData, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    def interrupt(step: int, *_: Any) -> None:
        if step == 60:
            raise KeyboardInterrupt

    cut = replace(pretraining(spec, data, tmp_path), listen=interrupt)
    with pytest.raises(KeyboardInterrupt):
        cut.checkpoints((0.25, 1.0))
    steps: list[int] = []
    resumed = pretraining(spec, data, tmp_path, steps).checkpoints((0.25, 1.0))
    # From the last evaluation.
    assert steps == list(range(41, STEPS + 1))
    for ours, whole in zip(resumed, checkpoints, strict=True):
        assert all(torch.equal(ours.weights[name], whole.weights[name]) for name in whole.weights)


def test_interrupted_past_a_state_that_is_asked_for_later(
    spec: RunSpec, data: PreparedData, tmp_path: Path
) -> None:
    def interrupt(step: int, *_: Any) -> None:
        if step == 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(pretraining(spec, data, tmp_path), listen=interrupt).checkpoints((1.0,))
    steps: list[int] = []
    (early,) = pretraining(spec, data, tmp_path, steps).checkpoints((0.1,))
    assert (early.step, steps) == (12, list(range(1, 13)))


def test_states_that_runs_have_published_are_used(
    spec: RunSpec, data: PreparedData, checkpoints: list[Checkpoint], tmp_path: Path
) -> None:
    stage = SharedStage(spec, data.fingerprint, describe("cpu", 1), tmp_path)
    stage.steps = STEPS // 4
    method, file = find_method("pretraining"), tmp_path / "run.safetensors"
    Trainer(spec, data, initial_model(spec, data), method, file, Hooks(), stage).run()
    steps: list[int] = []
    (found,) = pretraining(spec, data, tmp_path, steps).checkpoints((0.25,))
    assert steps == []
    early = checkpoints[0].weights
    assert all(torch.equal(found.weights[name], early[name]) for name in early)


def test_at_the_start_it_is_the_initial_model(
    spec: RunSpec, data: PreparedData, tmp_path: Path
) -> None:
    (start,) = pretraining(spec, data, tmp_path).checkpoints((0.0,))
    model = initial_model(spec, data)
    assert weights_hash(model) == put_into(model, start)


def test_two_checkpoints_at_one_step(spec: RunSpec, data: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"--at: of {STEPS} training steps.*\(steps 12, 12\)"):
        pretraining(spec, data, tmp_path).checkpoints((0.1, 0.101))


def test_divergence_is_said(spec: RunSpec, data: PreparedData, tmp_path: Path) -> None:
    training = spec.training.model_copy(update={"rate": 1e30})
    hopeless = spec.model_copy(update={"training": training})
    with pytest.raises(UserError, match=r"loss is nan at step .*lower training\.rate"):
        pretraining(hopeless, data, tmp_path).checkpoints((1.0,))


def test_a_checkpoint_of_another_architecture(
    spec: RunSpec, data: PreparedData, checkpoints: list[Checkpoint]
) -> None:
    wider = TransformerConfig(layers=1, width=32, heads=2, hidden=32)
    other = spec.model_copy(update={"model": ModelConfig(transformer=wider)})
    with pytest.raises(UserError, match=r"^checkpoint 25%: the checkpoint is of another archit"):
        put_into(initial_model(other, data), checkpoints[0])


def test_given_files(spec: RunSpec, data: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--checkpoint: .*none\.safetensors: no such file"):
        given([tmp_path / "none.safetensors"])
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"garbage\.safetensors: not a readable checkpoint"):
        given([garbage])
    whole = tmp_path / "checkpoint.safetensors"
    save_checkpoint(whole, {"progress": {"step": 3}, "model": {}})
    with pytest.raises(UserError, match=r"checkpoint\.safetensors: holds more than weights"):
        put_into(initial_model(spec, data), given([whole])[0])
