"""What must hold on a device: ``make gpu`` runs it on a card, the test suite on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from benchmark.data import PreparedData
from benchmark.models.checkpoint import model_state
from benchmark.models.evaluation import mean_token_loss
from benchmark.study.study import RunSpec
from benchmark.training.hooks import Hooks, InterruptedRunError
from benchmark.training.loop import Trainer
from benchmark.training.start import set_up_torch

MakeSpec = Callable[..., RunSpec]
MakeTrainer = Callable[..., Trainer]
Record = Callable[[str, object], None]
METHODS = ("pretraining", "dds", "soba", "anograd", "classifier")
SECONDS = ("seconds",)


@pytest.fixture(autouse=True)
def as_in_runs(device: str) -> None:
    set_up_torch(device, 1)


def without_times(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key not in SECONDS} for line in lines]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_is_stopped_goes_on_to_the_same_bits(
    method: str, device: str, spec: MakeSpec, trainer: MakeTrainer
) -> None:
    run = spec(method)
    whole = trainer(run, name="whole", device=device)
    whole.run()
    asked: list[int] = []

    def at_the_seventh() -> bool:
        asked.append(1)
        return len(asked) == 7

    stopped = trainer(run, Hooks(should_stop=at_the_seventh), device=device)
    with pytest.raises(InterruptedRunError):
        stopped.run()
    resumed = trainer(run, device=device)
    resumed.run()
    assert without_times(resumed.progress.metrics) == without_times(whole.progress.metrics)
    for name, value in model_state(resumed.model).items():
        assert value.equal(model_state(whole.model)[name]), name


@pytest.mark.parametrize("method", METHODS)
def test_losses_are_those_of_the_cpu(
    method: str, device: str, spec: MakeSpec, trainer: MakeTrainer, record_property: Record
) -> None:
    run = spec(method)
    there, here = trainer(run, name="there", device=device), trainer(run, name="here")
    there.run()
    here.run()
    pairs = zip(there.progress.metrics, here.progress.metrics, strict=True)
    losses = [(a["valid_loss"], b["valid_loss"]) for a, b in pairs]
    record_property("device", device)
    record_property("largest_difference_nats", max(abs(a - b) for a, b in losses))
    # A row that another one was drawn for would show in the first digits.
    assert [a for a, _ in losses] == pytest.approx([b for _, b in losses], rel=1e-3)


def test_bfloat16_is_near_float32(
    device: str, spec: MakeSpec, trainer: MakeTrainer, data: PreparedData, record_property: Record
) -> None:
    if device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this card has none")
    found = []
    for precision in ("float32", "bf16"):
        made = trainer(spec("pretraining", precision=precision), name=precision, device=device)
        found.append(mean_token_loss(made.model, data.target_valid))
    record_property("bf16_difference_nats", abs(found[0] - found[1]))
    assert 0 < abs(found[0] - found[1]) < 2e-2
