"""Main models behind one loss: our transformer at any size, Hugging Face models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.models.attention import causal_attention
from benchmark.models.build import build_model
from benchmark.models.config import PRESETS, ModelConfig
from benchmark.models.influence import dot, gradient, hessian_product, influence
from benchmark.models.losses import per_example_loss, token_counts, token_share

GPT2 = {"model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
LLAMA = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
}
CONFIGS = {
    "transformer": ModelConfig.model_validate(
        {"transformer": {"layers": 2, "width": 16, "heads": 2, "hidden": 32, "dropout": 0.2}}
    ),
    "gpt2": ModelConfig(huggingface_config=GPT2),
    "llama": ModelConfig(huggingface_config=LLAMA),
}
EVERY_MODEL = pytest.mark.parametrize("name", CONFIGS)


def build(config: ModelConfig, seed: int = 0, **options: Any) -> nn.Module:
    given: dict[str, Any] = {"vocabulary_size": 256, "length": 20, "tokenizer": "bytes"} | options
    return build_model(config, seed=seed, **given)


def some_rows(lengths: tuple[int, ...] = (20, 13, 1, 7)) -> Tensor:
    rows = torch.randint(1, 256, (len(lengths), 20), generator=torch.Generator().manual_seed(1))
    return rows * (torch.arange(20) < torch.tensor(lengths)[:, None])


def test_the_paper_preset_has_the_papers_size() -> None:
    model = build(ModelConfig(preset="paper"), length=256)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(9.5e6, rel=0.01)
    assert PRESETS["paper"].layers == 12


@EVERY_MODEL
def test_an_untrained_model_is_near_uniform_or_worse(name: str) -> None:
    model = build(CONFIGS[name]).eval()
    with torch.no_grad():
        losses = per_example_loss(model, some_rows())
    assert losses.shape == (4,)
    assert bool((losses > 0.8 * math.log(256)).all())


@EVERY_MODEL
def test_initial_weights_depend_on_the_seed_only(name: str) -> None:
    torch.manual_seed(5)
    first = build(CONFIGS[name], seed=3).state_dict()
    torch.manual_seed(6)
    again, other = (
        build(CONFIGS[name], seed=3).state_dict(),
        build(CONFIGS[name], seed=4).state_dict(),
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@EVERY_MODEL
def test_no_token_sees_itself_or_the_future(name: str) -> None:
    model = build(CONFIGS[name]).eval()
    rows = some_rows((20,))
    changed = rows.clone()
    changed[0, 11] = rows[0, 11] % 255 + 1
    with torch.no_grad():
        before, after = model(rows)[0], model(changed)[0]
    torch.testing.assert_close(before[:11], after[:11])
    assert not torch.isclose(before[11], after[11])
    assert not torch.allclose(before[12:], after[12:])


@EVERY_MODEL
def test_padding_changes_nothing(name: str) -> None:
    model = build(CONFIGS[name]).eval()
    rows = some_rows((9, 20))
    with torch.no_grad():
        padded = model(rows)[0]
        alone = model(rows[:1, :9])[0]
    torch.testing.assert_close(padded[:9], alone, rtol=1e-4, atol=1e-5)
    assert float(padded[9:].abs().sum()) == 0


@EVERY_MODEL
def test_influence_is_exact_on_every_model(name: str) -> None:
    """One forward-mode pass against a gradient for each example, dropout out of the way."""
    model = build(CONFIGS[name]).train()
    rows = some_rows()
    direction = {key: torch.randn_like(value) for key, value in model.named_parameters()}
    one_by_one = [dot(gradient(model, row[None], torch.ones(1))[1], direction) for row in rows]
    torch.testing.assert_close(
        influence(model, rows, direction), torch.stack(one_by_one), rtol=1e-4, atol=1e-4
    )
    assert model.training


def test_no_graph_of_a_gradient_is_ever_built(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = torch.autograd.grad

    def spy(*arguments: Any, **options: Any) -> Any:
        asked.append(options.get("create_graph", False))
        return original(*arguments, **options)

    monkeypatch.setattr(torch.autograd, "grad", spy)
    model = build(CONFIGS["transformer"])
    rows = some_rows()
    _, direction = gradient(model, rows, token_share(rows))
    assert not any(value.requires_grad for value in direction.values())
    assert not influence(model, rows, direction).requires_grad
    assert asked == [False]


def test_lean_forward_mode_attention_equals_torchs() -> None:
    q, k, v, dq, dk, dv = torch.randn(6, 2, 3, 7, 4, dtype=torch.float64)
    with torch.no_grad(), torch.autograd.forward_ad.dual_level() as _:
        duals = [torch.autograd.forward_ad.make_dual(*pair) for pair in ((q, dq), (k, dk), (v, dv))]
        lean = torch.autograd.forward_ad.unpack_dual(causal_attention(*duals))
    step = 1e-6
    ahead = causal_attention(q + step * dq, k + step * dk, v + step * dv)
    behind = causal_attention(q - step * dq, k - step * dk, v - step * dv)
    torch.testing.assert_close(lean.primal, causal_attention(q, k, v))
    torch.testing.assert_close(lean.tangent, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)


def test_the_paper_preset_drops_attention_as_the_paper_does() -> None:
    """attention_dropout_rate is .1 in all 77 published configurations, as dropout_rate is."""
    assert (PRESETS["paper"].dropout, PRESETS["paper"].attention_dropout) == (0.1, 0.1)


def test_attention_dropout_is_there_in_training_and_nowhere_else() -> None:
    model = build(attending(0.5)).train()
    rows = some_rows()
    with torch.no_grad():
        first, second = model(rows), model(rows)
    assert not torch.equal(first, second)
    assert torch.equal(model.eval()(rows), build(attending(0.0)).eval()(rows))
    model.train()
    direction = {key: torch.randn_like(value) for key, value in model.named_parameters()}
    without = build(attending(0.0)).train()
    assert torch.equal(influence(model, rows, direction), influence(without, rows, direction))
    share, both = token_share(rows), (model, without)
    products = [hessian_product(each, rows, share, direction) for each in both]
    assert all(torch.equal(products[0][name], products[1][name]) for name in direction)


def test_attention_dropout_drops_that_share_and_keeps_the_mean() -> None:
    """Values of one, so that what comes out is the sum of the weights that are kept."""
    torch.manual_seed(0)
    q, k = torch.randn(2, 64, 4, 50, 8)
    kept = causal_attention(q, k, torch.ones_like(q), dropout=0.25)
    first = kept[:, :, 0].flatten()
    assert first.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float((first == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.02)


def test_models_without_attention_dropout_are_written_as_before_it_was_there() -> None:
    assert "attention_dropout" not in CONFIGS["transformer"].model_dump()["transformer"]
    assert attending(0.1).model_dump()["transformer"]["attention_dropout"] == 0.1


def attending(dropout: float) -> ModelConfig:
    """A small transformer with that much dropout of attention and no other."""
    size = {"layers": 2, "width": 16, "heads": 2, "hidden": 32, "attention_dropout": dropout}
    return ModelConfig.model_validate({"transformer": size})


def test_a_checkpoint_gives_its_own_loss(tmp_path: Path) -> None:
    """Rows of a Hugging Face tokeniser are ids + 1; the loss is the library's own."""
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = AutoConfig.for_model(**GPT2, vocab_size=50, bos_token_id=0, eos_token_id=0)
    saved = AutoModelForCausalLM.from_config(settings).eval()
    saved.save_pretrained(tmp_path)
    model = build(
        ModelConfig(huggingface=str(tmp_path)), vocabulary_size=51, tokenizer="some/tokenizer"
    ).eval()
    ids = torch.randint(0, 50, (3, 12), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = per_example_loss(model, ids + 1)
        started = torch.cat([torch.zeros(3, 1, dtype=torch.long), ids], 1)
        theirs = torch.stack([saved(row[None], labels=row[None]).loss for row in started])
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ({"huggingface": "no/such/folder"}, {}, "could not be loaded"),
        ({"huggingface_config": {"model_type": "gtp2"}}, {}, "gtp2"),
        ({"huggingface_config": GPT2}, {"length": 64}, "data.width 64 is longer than the 32"),
        ({"huggingface_config": GPT2 | {"vocab_size": 99}}, {}, "knows 99 tokens"),
    ],
)
def test_models_that_do_not_fit(
    config: dict[str, Any], options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=message):
        build(ModelConfig.model_validate(config), **options)


def test_a_pickled_checkpoint_is_refused(tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    saved = AutoModelForCausalLM.from_config(AutoConfig.for_model(**GPT2, vocab_size=256))
    saved.config.save_pretrained(tmp_path)
    torch.save(saved.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="safetensors"):
        build(ModelConfig(huggingface=str(tmp_path)))


def test_token_share_weighs_every_token_alike() -> None:
    rows = some_rows()
    share = token_share(rows)
    torch.testing.assert_close(share, token_counts(rows) / token_counts(rows).sum())
    weights = torch.tensor([1.0, 0.0, 2.0, 0.0])
    weighted = token_share(rows, weights)
    torch.testing.assert_close(weighted, torch.tensor([20 / 22, 0, 2 / 22, 0]))
