"""Adapters as the whole of what is trained: parameters, influences, runs, checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from benchmark.core.errors import UserError
from benchmark.data import PreparedData
from benchmark.methods.registry import find_method, resolve
from benchmark.models.batch import Batch
from benchmark.models.build import build_model
from benchmark.models.checkpoint import load_checkpoint, model_state
from benchmark.models.config import ModelConfig
from benchmark.models.influence import dot, gradient, hessian_product, influence
from benchmark.models.lora import merged
from benchmark.models.optimisation import build_optimizer, update
from benchmark.running.worker import Job, run_here
from benchmark.study.records import read_record
from benchmark.study.study import Study
from tests.models.architectures import ARCHITECTURES

FAMILIES = ("llama", "qwen2", "mistral", "gpt_neox", "opt", "gpt2")


def build(kind: str, **lora: Any) -> Any:
    options = {"model_type": kind, **ARCHITECTURES[kind][0]}
    config = ModelConfig(huggingface_config=options, lora=lora)
    given: dict[str, Any] = {"vocabulary_size": 256, "length": 24, "tokenizer": "bytes", "seed": 0}
    return build_model(config, **given)


def rows_of(count: int) -> Tensor:
    return torch.randint(1, 256, (count, 24), generator=torch.Generator().manual_seed(1))


def trained(model: Any, steps: int = 3) -> Any:
    batch = Batch(rows_of(4), torch.arange(4).numpy())
    optimizer = build_optimizer(model.parameters())
    for _ in range(steps):
        update(model, optimizer, batch, 0.05)
    return model


@pytest.mark.parametrize("kind", FAMILIES)
def test_adapters_are_all_that_is_trained_and_differentiated_by(kind: str) -> None:
    model = build(kind, rank=2)
    names = list(model_state(model))
    assert names
    assert all(".lora_A." in name or ".lora_B." in name for name in names)
    before = {name: value.clone() for name, value in model.named_buffers()}
    trained(model)
    for name, value in model.named_buffers():
        assert torch.equal(before[name], value), name
    _, u = gradient(model, rows_of(4), torch.ones(4) / 4)
    assert list(u) == names
    true = torch.stack([dot(gradient(model, row[None], torch.ones(1))[1], u) for row in rows_of(3)])
    torch.testing.assert_close(influence(model, rows_of(3), u), true, rtol=1e-3, atol=1e-6)
    assert list(hessian_product(model, rows_of(2), torch.ones(2), u)) == names


@pytest.mark.parametrize("kind", FAMILIES)
def test_merged_weights_give_the_same_logits(kind: str) -> None:
    options = {"model_type": kind, **ARCHITECTURES[kind][0]}
    plain = build_model(
        ModelConfig(huggingface_config=options),
        vocabulary_size=256,
        length=24,
        tokenizer="bytes",
        seed=0,
    )
    model = build(kind, rank=2)
    rows = rows_of(3)
    assert torch.equal(model.eval()(rows), plain.eval()(rows)), "fresh adapters change nothing"
    trained(model)
    assert not torch.allclose(model.eval()(rows), plain(rows))
    weights = merged(model.model)
    plain.model.load_state_dict({key: weights[key] for key in plain.model.state_dict()})
    torch.testing.assert_close(model(rows), plain(rows), rtol=1e-4, atol=1e-4)


def test_targets_choose_the_matrices() -> None:
    names = list(model_state(build("llama", targets=["q_proj", "v_proj"])))
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in names} == {"q_proj", "v_proj"}
    ranks = {tuple(value.shape) for name, value in build("llama", rank=3).named_parameters()}
    assert all(3 in shape for shape in ranks)


def test_unknown_targets_are_refused() -> None:
    with pytest.raises(UserError) as error:
        build("gpt2", targets=["q_proj"])
    assert str(error.value) == (
        "huggingface_config of model_type 'gpt2': lora.targets: unknown target 'q_proj' (did you "
        "mean 'c_proj'?); valid: c_attn, c_fc, c_proj"
    )


def test_only_models_of_hugging_face_have_adapters() -> None:
    with pytest.raises(ValidationError, match="lora goes with huggingface"):
        ModelConfig.model_validate({"preset": "mini", "lora": {"rank": 4}})


def test_keys_of_models_without_adapters_do_not_know_of_them() -> None:
    assert "lora" not in ModelConfig(preset="mini").model_dump()
    options = {"model_type": "gpt2"}
    plain, given = (
        ModelConfig.model_validate({"huggingface_config": options} | more)
        for more in ({}, {"lora": {}})
    )
    assert plain.model_dump() != given.model_dump()


@pytest.mark.parametrize("method", ["pretraining", "dds", "soba", "less", "cds"])
def test_a_run_trains_and_keeps_adapters_alone(
    method: str, base_content: dict[str, Any], data: PreparedData, tmp_path: Path
) -> None:
    options = {"model_type": "llama", **ARCHITECTURES["llama"][0]}
    models = {"adapted": {"huggingface_config": options, "lora": {"rank": 2}}}
    given = find_method(method).Hyperparameters.for_checks
    methods = [{"method": method, "hyperparameters": given}]
    study = Study.model_validate(base_content | {"models": models, "methods": methods})
    run = resolve(study).runs()[0]
    folders: dict[str, Any] = {"prepared": data.folder, "results": tmp_path, "cache": tmp_path}
    job = Job(spec=run, device="cpu", threads=1, **folders)
    run_here(job, lambda _: None)
    record = read_record(tmp_path, run.run_id)
    assert record is not None
    assert (record.status, record.central_differences) == ("done", ())
    weights = load_checkpoint(job.state_folder(data) / "fine_tuned.safetensors")
    assert sum(value.numel() for value in weights.values()) == record.parameters < 3000
    assert all(".lora_" in name for name in weights)
