"""Models made elsewhere: each runs with right derivatives, or is refused before training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.models.build import build_model
from benchmark.models.config import ModelConfig
from benchmark.models.huggingface import HuggingFaceModel
from benchmark.models.influence import (
    dot,
    gradient,
    hessian_by_differences,
    hessian_product,
    influence,
)
from benchmark.models.probe import probe
from tests.data.conftest import WORDS
from tests.models.architectures import ARCHITECTURES, BOTH, WIDE

GPT2 = {"model_type": "gpt2", **ARCHITECTURES["gpt2"][0]}
LLAMA = {"model_type": "llama", **WIDE}
GEMMA3 = {"model_type": "gemma3_text", **ARCHITECTURES["gemma3_text"][0]}
ROPE = {"rope_type": "default", "rope_theta": 1e4}


def build(options: dict[str, Any], **changes: Any) -> Any:
    given: dict[str, Any] = {"vocabulary_size": 256, "length": 24, "tokenizer": "bytes", "seed": 0}
    return build_model(ModelConfig(huggingface_config=options), **given | changes)


def rows_of(count: int) -> Tensor:
    return torch.randint(1, 256, (count, 24), generator=torch.Generator().manual_seed(1))


def saved(folder: Path, options: dict[str, Any] = LLAMA, vocabulary: int = 256) -> Any:
    """A checkpoint without a tokenizer, written to ``folder``; the model in it."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**options, vocab_size=vocabulary))
    model.save_pretrained(folder)
    return model


def load(folder: Path, **changes: Any) -> Any:
    given: dict[str, Any] = {"vocabulary_size": 256, "length": 24, "tokenizer": "bytes", "seed": 0}
    return build_model(ModelConfig(huggingface=str(folder)), **given | changes)


def save_tokenizer(folder: Path, words: list[str], **special: str) -> str:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate([*words, "[UNK]", *special.values()])}
    model = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]", **special)
    fast.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_architecture_has_right_derivatives(kind: str) -> None:
    options, approximated = ARCHITECTURES[kind]
    model = build({"model_type": kind, **options})
    assert model.central_differences == approximated
    target, rows = rows_of(4), rows_of(7)[4:]
    _, u = gradient(model, target, torch.ones(4) / 4)
    true = torch.stack([dot(gradient(model, row[None], torch.ones(1))[1], u) for row in rows])
    tolerance = 3e-2 if approximated else 1e-4
    error = (influence(model, rows, u) - true).abs().max() / true.abs().max()
    assert float(error) < tolerance
    curved = hessian_product(model, rows, torch.ones(3) / 3, u)
    assert not model.without_hessian
    if kind != "opt":  # its ReLUs have kinks, which differences step over
        other = hessian_by_differences(model, rows, torch.ones(3) / 3, u)
        gap = {name: curved[name] - other[name] for name in curved}
        assert float(dot(gap, gap)) <= 2e-2**2 * float(dot(other, other))


class _Opaque(torch.autograd.Function):
    """The identity, with a derivative in reverse mode only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        del ctx
        return grads[0]


def test_a_hessian_product_that_would_be_wrong_is_refused() -> None:
    """ReLUs without a forward mode: influences by differences hold, their curvature does not."""
    model = build({"model_type": "opt", **ARCHITECTURES["opt"][0]})

    def opaque(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        return _Opaque.apply(output)  # type: ignore[no-untyped-call, no-any-return]

    model.model.get_input_embeddings().register_forward_hook(opaque)
    assert probe(model, "model 'opaque'", 256, 24) == (BOTH, True)
    model.central_differences, model.without_hessian = BOTH, True
    rows = rows_of(2)
    _, u = gradient(model, rows, torch.ones(2))
    influence(model, rows, u)
    with pytest.raises(UserError, match="no Hessian product"):
        hessian_product(model, rows, torch.ones(2), u)


def test_a_padding_row_starts_like_others_and_gets_its_gradient() -> None:
    model = build({"model_type": "gemma", **ARCHITECTURES["gemma"][0]})
    table = "model.model.embed_tokens.weight"
    assert bool(dict(model.named_parameters())[table][0].any())
    _, found = gradient(model, rows_of(2), torch.ones(2))
    assert bool(found[table][0].any())


@pytest.mark.parametrize("kind", ["bert", "electra", "bert-generation", "megatron-bert"])
def test_an_encoder_is_refused_and_runs_as_a_decoder(kind: str) -> None:
    options = {"model_type": kind, **WIDE}
    with pytest.raises(UserError, match=r"is not causal.*set is_decoder: true"):
        build(options)
    build(options | {"is_decoder": True})


def test_a_later_token_that_only_moves_a_derivative_is_seen() -> None:
    """An untrained encoder may look ahead by less than rounding shows."""

    class Ahead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(256, 8)
            self.out = nn.Linear(8, 256)

        def get_input_embeddings(self) -> nn.Module:
            return self.embedding

        def forward(self, rows: Tensor) -> Tensor:
            seen = self.embedding(rows.roll(1, 1))
            seen = seen + 1e-4 * seen.mean(1, keepdim=True)
            losses = nn.functional.cross_entropy(
                self.out(seen).transpose(1, 2), rows, reduction="none"
            )
            return losses * (rows > 0)

    with pytest.raises(UserError, match="'ahead' is not causal"):
        probe(Ahead(), "model 'ahead'", 256, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (GPT2 | {"n_embed": 16}, "unknown option 'n_embed'.*did you mean 'n_embd'"),
        (LLAMA | {"rms_norm_eps": "1e-5"}, "rms_norm_eps.*expected float"),
        (LLAMA | {"model_type": "gtp2"}, "'gtp2' is no causal.*did you mean 'gpt2'"),
        (LLAMA | {"model_type": "t5"}, "'t5' is no causal"),
        (LLAMA | {"num_hidden_layers": -1}, "num_hidden_layers must not be below 0"),
        (LLAMA | {"num_hidden_layers": 0}, "has no layer: set num_hidden_layers to 1 or more"),
        (GPT2 | {"n_layer": 0}, "has no layer"),
        (LLAMA | {"rope_parameters": {"rope_typ": "x"}}, "'rope_typ'.*did you mean 'rope_type'"),
        (LLAMA | {"rope_parameters": ROPE | {"other": 1}}, "rope_parameters: unknown option 'oth"),
        (
            GEMMA3 | {"rope_parameters": {"full_attention": ROPE | {"fator": 2}}},
            "rope_parameters: full_attention: .*'fator'.*did you mean 'factor'",
        ),
        (LLAMA | {"auto_map": {"AutoModelForCausalLM": "mine.Model"}}, "option 'auto_map'"),
        (LLAMA | {"quantization_config": {"bits": 4}}, "option 'quantization_config'"),
        (LLAMA | {"num_attention_heads": 0}, "could not be loaded"),
        ({"model_type": "llama", "hidden_size": 1 << 20}, "parameters need .* GB to be trained"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        build(options)
    assert "\n" not in str(refused.value)


def test_a_model_is_probed_once_for_its_rows(tmp_path: Path) -> None:
    bloom = {"model_type": "bloom", **ARCHITECTURES["bloom"][0]}
    first = build(bloom, probes=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text('{"central_differences": ["influence"], "without_hessian": true}')
    other = build(bloom, probes=tmp_path, seed=1)
    assert first.central_differences == BOTH
    assert (other.central_differences, other.without_hessian) == (("influence",), True)
    assert build(bloom, probes=tmp_path, length=32).central_differences == BOTH
    file.write_text("damaged")
    assert build(bloom, probes=tmp_path).central_differences == BOTH


def test_a_checkpoint_is_trained_with_its_dropout_whether_it_was_probed_or_not(
    tmp_path: Path,
) -> None:
    saved(tmp_path / "model", GPT2)
    config = ModelConfig(huggingface=str(tmp_path / "model"), files="digest")
    given: dict[str, Any] = {"vocabulary_size": 256, "length": 24, "tokenizer": "bytes", "seed": 0}
    for _ in range(2):
        made = build_model(config, **given, probes=tmp_path / "probes")
        assert all(module.training for module in made.modules())


def test_options_that_a_configuration_takes_in_are_known() -> None:
    options = {"rope_theta": 5e5, "attention_dropout": 0.0, "use_cache": False, "bos_token_id": 3}
    build(LLAMA | options)
    each = {"full_attention": ROPE, "sliding_attention": ROPE}
    build(GEMMA3 | {"rope_parameters": each})


@pytest.mark.parametrize(
    "options",
    [
        {"return_dict": False},
        {"use_cache": True},
        {"output_attentions": True, "output_hidden_states": True},
        {"num_labels": 3},
        {"dtype": "float64"},
    ],
)
def test_options_that_are_not_of_the_loss_change_nothing(options: dict[str, Any]) -> None:
    rows = rows_of(2)
    model = build(LLAMA | options)
    assert torch.equal(model(rows), build(LLAMA)(rows))
    assert model.model.config.output_attentions is False


def test_a_configuration_needs_a_model_type() -> None:
    with pytest.raises(ValueError, match="needs a model_type"):
        ModelConfig(huggingface_config={})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_trained_in_single(tmp_path: Path, dtype: torch.dtype) -> None:
    half = saved(tmp_path).to(dtype)
    half.save_pretrained(tmp_path)
    model = load(tmp_path)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    for name, value in half.named_parameters():
        assert torch.equal(model.model.get_parameter(name), value.float())


def test_a_half_precision_configuration_starts_in_single() -> None:
    model = build(LLAMA | {"dtype": "bfloat16"})
    assert {value.dtype for value in model.parameters()} == {torch.float32}


def without_head(folder: Path) -> None:
    saved(folder).model.save_pretrained(folder)


def more_layers(folder: Path) -> None:
    saved(folder, LLAMA | {"num_hidden_layers": 2})
    replace(folder, '"num_hidden_layers": 2', '"num_hidden_layers": 1')


def biases(folder: Path) -> None:
    saved(folder, LLAMA | {"attention_bias": True})
    replace(folder, '"attention_bias": true', '"attention_bias": false')


def other_sizes(folder: Path) -> None:
    saved(folder)
    replace(folder, '"hidden_size": 32', '"hidden_size": 64')


def a_pointer(folder: Path) -> None:
    saved(folder)
    (folder / "model.safetensors").write_text("version of a pointer file\nsize 1\n")


def cut_short(folder: Path) -> None:
    saved(folder)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:20000])


def not_finite(folder: Path) -> None:
    model = saved(folder)
    model.lm_head.weight.data[3, 3] = torch.nan
    model.save_pretrained(folder)


def no_layers(folder: Path) -> None:
    saved(folder)
    replace(folder, '"num_hidden_layers": 1', '"num_hidden_layers": 0')


def untied(folder: Path) -> None:
    saved(folder, LLAMA | {"tie_word_embeddings": True})
    replace(folder, '"tie_word_embeddings": true', '"tie_word_embeddings": false')


def quantised(folder: Path) -> None:
    saved(folder)
    replace(folder, "{", '{"quantization_config": {"quant_method": "gptq", "bits": 4},', 1)


def own_code(folder: Path) -> None:
    saved(folder)
    replace(
        folder, '"model_type": "llama"', '"model_type": "mine", "auto_map": {"AutoConfig": "m"}'
    )


def many_tokens(folder: Path) -> None:
    saved(folder, vocabulary=1000)


def replace(folder: Path, old: str, new: str, count: int = -1) -> None:
    file = folder / "config.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, count))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_head, "lacks lm_head.weight"),
        (more_layers, "layers.1.*no place"),
        (biases, "bias.*no place"),
        (other_sizes, "could not be loaded"),
        (a_pointer, "could not be loaded"),
        (cut_short, "could not be loaded"),
        (not_finite, "lm_head.weight holds values that are not finite"),
        (no_layers, "has no layer"),
        (untied, "lacks lm_head.weight"),
        (quantised, "has a quantization_config, and quantised weights cannot be trained"),
        (own_code, "'mine' comes with code of its own .* which is not run"),
        (many_tokens, "knows 1000 tokens, which are not bytes"),
    ],
)
def test_checkpoints_that_are_refused(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(tmp_path)
    with pytest.raises(UserError, match=message) as refused:
        load(tmp_path)
    assert "\n" not in str(refused.value)


def test_tied_weights_are_not_missing(tmp_path: Path) -> None:
    saved(tmp_path, GPT2)
    assert isinstance(load(tmp_path), HuggingFaceModel)


def test_weights_of_a_head_count_whatever_the_configuration_says(tmp_path: Path) -> None:
    head = saved(tmp_path).lm_head.weight
    replace(tmp_path, '"tie_word_embeddings": false', '"tie_word_embeddings": true')
    assert torch.equal(load(tmp_path).model.lm_head.weight, head)


def test_a_checkpoint_wants_its_own_tokenizer(tmp_path: Path) -> None:
    saved(tmp_path / "model")
    own = save_tokenizer(tmp_path / "model", list(WORDS), bos_token="<s>")
    copy = save_tokenizer(tmp_path / "copy", list(WORDS), bos_token="<s>")
    other = save_tokenizer(tmp_path / "other", list(reversed(WORDS)), bos_token="<s>")
    for tokenizer in (own, copy):
        load(tmp_path / "model", tokenizer=tokenizer, vocabulary_size=len(WORDS) + 3)
    for tokenizer in ("bytes", other):
        with pytest.raises(UserError, match=r"tokenizer of its own.*set data.tokenizer to"):
            load(tmp_path / "model", tokenizer=tokenizer, vocabulary_size=len(WORDS) + 3)


def test_the_start_symbol_is_one_of_the_model(tmp_path: Path) -> None:
    fit = {"vocabulary_size": len(WORDS) + 3}
    with_start = save_tokenizer(tmp_path / "start", list(WORDS), bos_token="<s>")
    with_end = save_tokenizer(tmp_path / "end", list(WORDS), eos_token="</s>")
    without = save_tokenizer(tmp_path / "none", [*WORDS, "more"])
    for tokenizer in (with_start, with_end):
        assert build(GPT2, tokenizer=tokenizer, **fit).start_id == len(WORDS) + 1
    assert build(GPT2 | {"bos_token_id": 2}, tokenizer=without, **fit).start_id == 2
    with pytest.raises(UserError, match=r"has no start symbol.*set bos_token_id"):
        build(GPT2, tokenizer=without, **fit)
    with pytest.raises(UserError, match="bos_token_id 50256, is none of its"):
        build(GPT2 | {"bos_token_id": 50256}, tokenizer=without, **fit)
