"""Models of runs as Hugging Face folders: what `transformers` loads gives the run's own losses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from benchmark.core.errors import UserError
from benchmark.data import PreparedData
from benchmark.data.as_huggingface import as_huggingface as tokenizer_of
from benchmark.methods.registry import resolve
from benchmark.models.as_huggingface import as_huggingface
from benchmark.models.checkpoint import load_checkpoint, load_model_state
from benchmark.models.config import TransformerConfig
from benchmark.models.transformer import Transformer
from benchmark.running.export import export
from benchmark.running.worker import Job, run_here
from benchmark.study.records import read_record, write_index
from benchmark.study.study import RunSpec, Study
from benchmark.training.start import initial_model
from tests.models.architectures import ARCHITECTURES
from tests.models.test_foreign import save_tokenizer

LLAMA = {"model_type": "llama", **ARCHITECTURES["llama"][0]}
GPT2 = {"model_type": "gpt2", **ARCHITECTURES["gpt2"][0]}
MODELS: dict[str, dict[str, Any]] = {
    "ours": {
        "transformer": {"layers": 2, "width": 16, "heads": 2, "hidden": 32, "dropout": 0.1},
    },
    "llama": {"huggingface_config": LLAMA},
    "gpt2 with adapters": {"huggingface_config": GPT2, "lora": {"rank": 2}},
}


@pytest.fixture
def made(
    base_content: dict[str, Any], data: PreparedData, tmp_path: Path
) -> Callable[[str], tuple[Path, RunSpec, Job]]:
    """The results folder of a study of one run on a model, run to its end."""

    def make(model: str) -> tuple[Path, RunSpec, Job]:
        content = base_content | {"models": {"a": MODELS[model]}, "methods": ["pretraining"]}
        study = resolve(Study.model_validate(content))
        run = study.runs()[0]
        results = tmp_path / "results"
        write_index(results, study)
        folders: dict[str, Any] = {"prepared": data.folder, "results": results, "cache": tmp_path}
        job = Job(spec=run, device="cpu", threads=1, **folders)
        run_here(job, lambda _: None)
        return results, run, job

    return make


@pytest.mark.parametrize("model", MODELS)
def test_what_is_loaded_gives_the_losses_of_the_run(
    model: str, made: Callable[[str], tuple[Path, RunSpec, Job]], data: PreparedData, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    results, run, job = made(model)
    export(results, run.run_id, "fine_tuned", tmp_path, tmp_path / "out" / "model")
    own = initial_model(run, data).eval()
    load_model_state(own, load_checkpoint(job.state_folder(data) / "fine_tuned.safetensors"))
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out" / "model")
    rows = torch.from_numpy(data.target_test.tokens(torch.arange(4).numpy()))
    assert (rows[:, :-1] > 0).all(1).any()
    for row in rows:
        ids = row[row > 0]
        text = bytes(ids.tolist()).decode()
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids.tolist()
        assert tokenizer.decode(ids) == text
        inputs = torch.cat([torch.tensor([tokenizer.bos_token_id]), ids[:-1]])[None]
        losses = F.cross_entropy(loaded(input_ids=inputs).logits[0], ids, reduction="none")
        torch.testing.assert_close(losses, own(row[None])[0, : len(ids)], rtol=1e-4, atol=1e-5)
    assert not list((tmp_path / "out").glob("tmp*")), "nothing else is left"
    assert not list((tmp_path / "out" / "model").glob("*.bin")), "nothing is pickled"


def test_our_model_of_other_tokens_starts_behind_them(tmp_path: Path) -> None:
    name = save_tokenizer(tmp_path, ["ship", "sail", "rope"])
    tokenizer_ids = 4
    model = Transformer(TransformerConfig(layers=1, width=16, heads=2, hidden=32), 5, 6).eval()
    model.initialise(torch.Generator().manual_seed(0))
    loaded, start = as_huggingface(model, 1)
    assert start == tokenizer_ids
    tokenizer = tokenizer_of(name, start)
    assert tokenizer.bos_token_id == start
    rows = torch.tensor([[1, 3, 2, 4, 1, 1]])
    inputs = torch.cat([torch.tensor([[start]]), rows[:, :-1] - 1], 1)
    logits = loaded(input_ids=inputs).logits
    torch.testing.assert_close(logits.roll(1, 2), model.logits(rows), rtol=1e-4, atol=1e-4)


def test_every_byte_is_its_own_id() -> None:
    tokenizer = tokenizer_of("bytes", 0)
    text = "".join(map(chr, range(1, 0x500))) + "Ā \u00ad \U0001f600 a  b\n"
    assert tokenizer(text)["input_ids"] == list(text.encode())
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert (len(tokenizer), tokenizer.bos_token_id) == (256, 0)


def test_what_cannot_be_exported_is_told_in_a_line(
    made: Callable[[str], tuple[Path, RunSpec, Job]], tmp_path: Path
) -> None:
    results, run, _ = made("ours")
    with pytest.raises(UserError, match=f"unknown run 'x'; valid: {run.run_id}"):
        export(results, "x", "trained", tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="weights are kept in the cache of the machine"):
        export(results, run.run_id, "trained", tmp_path / "elsewhere", tmp_path / "out")
    with pytest.raises(UserError, match="is there already"):
        export(results, run.run_id, "trained", tmp_path, tmp_path)


def test_models_of_other_tasks_are_not_exported(
    made: Callable[[str], tuple[Path, RunSpec, Job]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results, run, _ = made("ours")
    record = read_record(results, run.run_id)
    assert record is not None
    data = record.spec.data.model_copy(update={"task": "images"})
    other = record.model_copy(update={"spec": record.spec.model_copy(update={"data": data})})
    monkeypatch.setattr("benchmark.running.export.read_record", lambda *_: other)
    with pytest.raises(UserError, match="is of task images: only models of language_modelling are"):
        export(results, run.run_id, "trained", tmp_path, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_lm_evaluation_harness_takes_the_folder(
    model: str, made: Callable[[str], tuple[Path, RunSpec, Job]], data: PreparedData, tmp_path: Path
) -> None:
    huggingface = pytest.importorskip("lm_eval.models.huggingface")
    instance = pytest.importorskip("lm_eval.api.instance")
    results, run, job = made(model)
    export(results, run.run_id, "trained", tmp_path, tmp_path / "model")
    harness = huggingface.HFLM(pretrained=str(tmp_path / "model"), device="cpu", batch_size=1)
    row = torch.from_numpy(data.target_test.tokens(torch.arange(1).numpy()))
    text = bytes(row[row > 0].tolist()).decode()
    (found,) = harness.loglikelihood_rolling(
        [instance.Instance("loglikelihood_rolling", {}, (text,), 0)]
    )
    own = initial_model(run, data).eval()
    load_model_state(own, load_checkpoint(job.state_folder(data) / "trained.safetensors"))
    assert -found == pytest.approx(float(own(row).sum().detach()), rel=1e-3)
