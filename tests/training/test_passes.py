"""Precision, micro-batches and compiling in runs: from the study to its losses and its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from benchmark.data import PreparedData
from benchmark.models.passes import passes_of
from benchmark.running import worker
from benchmark.running.memory import how_to_need_less
from benchmark.running.worker import Job, run_here
from benchmark.study.records import read_record
from benchmark.study.step_times import step_key
from benchmark.study.study import RunSpec, TrainingConfig
from benchmark.training.hooks import Hooks, InterruptedRunError
from benchmark.training.loop import Trainer

MakeSpec = Callable[..., RunSpec]
MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def losses(trainer: MakeTrainer, run: RunSpec) -> list[float]:
    return [stage.test_loss for stage in trainer(run, name=run.key).run()]


@pytest.mark.parametrize("method", ["pretraining", "dds", "soba", "anograd", "less", "cds"])
@pytest.mark.usefixtures("double")
def test_a_run_in_micro_batches_has_the_losses_of_whole_ones(
    method: str, spec: MakeSpec, trainer: MakeTrainer
) -> None:
    few = {"keep": 0.1, "candidates": 300} if method == "less" else {}
    whole, split = spec(method, few), spec(method, few, micro_batch=2)
    assert whole.key != split.key
    assert step_key(whole) != step_key(split)
    assert losses(trainer, split) == pytest.approx(losses(trainer, whole), abs=1e-10)


@pytest.mark.parametrize("method", ["pretraining", "dds", "soba", "classifier", "rho_loss"])
def test_a_run_in_bfloat16_comes_close(method: str, spec: MakeSpec, trainer: MakeTrainer) -> None:
    single, half = (losses(trainer, spec(method, precision=p)) for p in ("float32", "bf16"))
    assert half != single
    assert half == pytest.approx(single, rel=0.01)


def test_a_run_in_bfloat16_pieces_goes_on_in_the_same_bits(
    spec: MakeSpec, trainer: MakeTrainer
) -> None:
    run = spec("dds", precision="bf16", micro_batch=4)
    whole = losses(trainer, run)
    steps = iter(range(100))
    stopping = Hooks(should_stop=lambda: next(steps) == 7)
    with pytest.raises(InterruptedRunError):
        trainer(run, hooks=stopping).run()
    assert [stage.test_loss for stage in trainer(run).run()] == whole


@pytest.mark.slow
def test_a_compiled_run_has_the_losses_and_the_bill_of_a_plain_one(
    spec: MakeSpec, trainer: MakeTrainer
) -> None:
    plain, compiled = (
        trainer(spec("pretraining", compile=asked), name=str(asked)).run()
        for asked in (False, True)
    )
    for one, other in zip(plain, compiled, strict=True):
        assert other.test_loss == pytest.approx(one.test_loss, abs=1e-4)
        assert other.cost.flops == one.cost.flops


def test_micro_batches_fill_a_batch() -> None:
    said = "micro_batch: 5 rows do not divide batch 8: give one of 1, 2, 4, 8"
    with pytest.raises(ValidationError, match=said):
        TrainingConfig(steps=10, batch=8, micro_batch=5)


def test_auxiliary_models_are_told_too(spec: MakeSpec, trainer: MakeTrainer) -> None:
    from benchmark.api.auxiliary import resized, twin

    task = trainer(spec("pretraining", precision="bf16", micro_batch=4)).task
    for made in (twin(task.model), resized(task, 0.5, "a")):
        assert (passes_of(made).precision, passes_of(made).micro_batch) == ("bf16", 4)


def test_a_record_says_how_much_memory_its_run_took(
    spec: MakeSpec, data: PreparedData, tmp_path: Path
) -> None:
    run = spec("pretraining")
    folders: dict[str, Any] = {"prepared": data.folder, "results": tmp_path, "cache": tmp_path}
    run_here(Job(spec=run, device="cpu", threads=1, **folders), lambda _: None)
    record = read_record(tmp_path, run.run_id)
    assert record is not None
    assert record.memory_bytes is not None
    assert record.memory_bytes > 1e8
    assert record.device_memory_bytes is None


def test_out_of_memory_says_which_keys_to_change(
    spec: MakeSpec, data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise MemoryError("64 GB")

    monkeypatch.setattr(worker, "_work", full)
    run = spec("dds", micro_batch=4, precision="bf16")
    folders: dict[str, Any] = {"prepared": data.folder, "results": tmp_path, "cache": tmp_path}
    end = run_here(Job(spec=run, device="cpu", threads=1, **folders), lambda _: None)
    assert end == {
        "event": "out_of_memory",
        "reason": "out of memory: 64 GB; lower training.micro_batch (now 4, batch 8) or lower "
        "training.big_batch or the method's downsampling",
    }
    assert how_to_need_less(spec("pretraining")) == (
        "lower training.micro_batch (now whole batches, batch 8) or set training.precision: bf16"
    )
