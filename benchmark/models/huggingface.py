"""Causal language models of Hugging Face as main models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.core.hub import name_and_commit
from benchmark.models.config import ModelConfig, TransformerConfig
from benchmark.models.drawn import drawn, refusing
from benchmark.models.lora import add_adapters
from benchmark.models.losses import cross_entropy
from benchmark.models.passes import in_precision
from benchmark.models.probe import probe
from benchmark.models.probed import Findings, remembered
from benchmark.models.vocabulary import (
    require_bytes_known,
    require_own_tokenizer,
    start_symbol,
)

_ADVICE = "give a hub id or a folder with config.json and model.safetensors"


class HuggingFaceModel(nn.Module):
    """A Hugging Face causal language model seen as a map from rows to token losses.

    Row tokens are ``id + id_offset``: 1 for rows of a Hugging Face tokeniser (0 is kept for
    padding), 0 for byte rows, whose padding doubles as the start symbol. ``central_differences``
    names the functions of `benchmark.models.influence` that are not exact on this model,
    ``without_hessian`` that it has no Hessian product (both as `benchmark.models.probe` finds).
    """

    def __init__(self, model: Any, id_offset: int, start_id: int) -> None:
        super().__init__()
        self.model = model
        self.id_offset = id_offset
        self.start_id = start_id
        self.central_differences: tuple[str, ...] = ()
        self.without_hessian = False
        self.adapted = False
        """Whether its parameters are adapters."""
        self._has_experts = model._can_set_experts_implementation()

    @property
    def size(self) -> TransformerConfig:
        """The size of our transformer that comes closest."""
        config = self.model.config
        width = config.hidden_size
        return TransformerConfig(
            layers=config.num_hidden_layers,
            width=width,
            heads=config.num_attention_heads,
            hidden=getattr(config, "intermediate_size", None) or 4 * width,
        )

    @in_precision
    def forward(self, rows: Tensor) -> Tensor:
        labels = (rows - self.id_offset).clamp(min=0)
        inputs = torch.cat([torch.full_like(labels[:, :1], self.start_id), labels[:, :-1]], 1)
        logits = self.model(input_ids=inputs, use_cache=False).logits
        return cross_entropy(logits, labels, rows > 0)

    def checkpoint_activations(self) -> None:
        """Keep no activations inside layers; a pass in training computes them twice."""
        if not self.model.supports_gradient_checkpointing:
            raise UserError(
                f"training.activation_checkpointing: {type(self.model).__name__} has none: leave "
                "it out, and lower training.micro_batch for less memory"
            )
        self.model.activation_checkpointing_enable({"use_reentrant": False})

    @contextmanager
    def differentiable(self) -> Iterator[None]:
        """Inside, experts are computed one by one: grouped products have no forward mode."""
        if not self._has_experts:
            yield
            return
        usual = self.model.get_experts_implementation()
        self.model.set_experts_implementation("eager")
        try:
            yield
        finally:
            self.model.set_experts_implementation(usual)


def build_huggingface(
    config: ModelConfig,
    vocabulary_size: int,
    length: int,
    tokenizer: str,
    seed: int,
    probes: Path | None = None,
) -> HuggingFaceModel:
    """The model of a checkpoint or configuration, its fresh weights drawn by ``seed``.

    What the probe finds is remembered in the folder ``probes``.

    Raises:
        UserError: as of `benchmark.models.build.build_model`.
    """
    id_offset = 0 if tokenizer == "bytes" else 1
    ids = vocabulary_size - id_offset
    name = name_of(config)
    if config.huggingface is not None:
        require_own_tokenizer(config.checkpoint, tokenizer)
        model = _loaded(config.checkpoint)
        require_bytes_known(config.huggingface, tokenizer, len(model.get_input_embeddings().weight))
        start = start_symbol(name, tokenizer, model.config.bos_token_id, model.config.eos_token_id)
    else:
        options = config.huggingface_config or {}
        model = drawn(options, ids, seed)
        start = start_symbol(name, tokenizer, options.get("bos_token_id"))
    _check_fits(model, name, ids, length, tokenizer, start)
    # Rows are padded by the harness: a padding token of the model's own would only mask gradients.
    model.config.pad_token_id = None
    # Of what a model gives out, losses take the logits, by name.
    model.config.return_dict = True
    model.config.output_attentions = model.config.output_hidden_states = False
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None
    made = HuggingFaceModel(model, id_offset, start)

    def probed() -> Findings:
        differences, without_hessian = probe(made, name, vocabulary_size, length)
        return Findings(central_differences=differences, without_hessian=without_hessian)

    rows = (vocabulary_size, length, tokenizer)
    found = remembered(config, rows, probes, probed) if probes is not None else probed()
    made.central_differences = found.central_differences
    made.without_hessian = found.without_hessian
    if config.lora is not None:
        # What was found of all weights holds of adapters, which are products with matrices.
        add_adapters(model, config.lora, name, seed)
        made.adapted = True
    # Checkpoints are loaded for scoring, without dropout.
    made.train()
    return made


def name_of(config: ModelConfig) -> str:
    """The model as a message names it."""
    if config.huggingface is not None:
        return f"model {config.huggingface!r}"
    return f"huggingface_config of model_type {(config.huggingface_config or {})['model_type']!r}"


def _loaded(checkpoint: str) -> Any:
    """The model of a checkpoint, every weight of it from there, in the default precision."""
    from transformers import AutoModelForCausalLM

    name, commit = name_and_commit(checkpoint)
    _require_plain(name, commit)
    with refusing(f"model {name!r}", _ADVICE):
        # Never a pickle and never code of others: only safetensors weights are accepted.
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name,
            revision=commit,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.get_default_dtype(),
            output_loading_info=True,
        )
        model, report = loaded
    if fresh := sorted(report["missing_keys"]):
        raise UserError(
            f"model {name!r}: the checkpoint lacks {_some(fresh)}, which would be drawn at "
            "random: give a checkpoint that was saved with its language-modelling head "
            f"(saved by {type(model).__name__}.save_pretrained)"
        )
    if lost := _left_out(report["unexpected_keys"], model):
        raise UserError(
            f"model {name!r}: its weights {_some(lost)} have no place in the model that its "
            "config.json describes: give the config.json that the checkpoint was saved with"
        )
    return model


def _require_plain(name: str, commit: str) -> None:
    """Refuse what cannot be trained as it is, or only by code of others, before it is loaded."""
    from transformers import CONFIG_MAPPING, PretrainedConfig

    with refusing(f"model {name!r}", _ADVICE):
        said, _ = PretrainedConfig.get_config_dict(name, revision=commit)
    folder = Path(name)
    pickled = sorted(file.name for file in folder.glob("*.bin") if "model" in file.name)
    if pickled and not any(folder.glob("*.safetensors")):
        raise UserError(
            f"model {name!r}: its weights are pickled ({_some(pickled)}), which can run code as "
            "they are loaded: save it again as safetensors"
        )
    if said.get("quantization_config") is not None:
        raise UserError(
            f"model {name!r}: its config.json has a quantization_config, and quantised weights "
            "cannot be trained: give the checkpoint that they were made of"
        )
    if "auto_map" in said and said.get("model_type") not in CONFIG_MAPPING:
        raise UserError(
            f"model {name!r}: its model_type {said.get('model_type')!r} comes with code of its "
            "own (auto_map in its config.json), which is not run: give a model of transformers"
        )


def _left_out(unexpected: Iterable[str], model: nn.Module) -> list[str]:
    """Weights of layers that the model has, or has fewer of, that are not its own.

    Other weights without a place, such as the head of another task, change nothing.
    """
    own = {_layers_alike(key.rpartition(".")[0]) for key, _ in model.named_parameters()}
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    return sorted(
        key
        for key in unexpected
        if {_layers_alike(each.rpartition(".")[0]) for each in (key, prefix + key)} & own
    )


def _layers_alike(name: str) -> str:
    return re.sub(r"\d+", "N", name)


def _check_fits(model: Any, name: str, ids: int, length: int, tokenizer: str, start: int) -> None:
    known = len(model.get_input_embeddings().weight)
    if known < ids:
        raise UserError(
            f"{name} knows {known} tokens but tokenizer {tokenizer!r} makes {ids}: "
            "set data.tokenizer to the model's own"
        )
    if getattr(model.config, "num_hidden_layers", None) == 0:
        raise UserError(f"{name} has no layer: set num_hidden_layers to 1 or more")
    if not 0 <= start < known:
        raise UserError(
            f"{name}: its start symbol, bos_token_id {start}, is none of its {known} tokens: "
            f"set bos_token_id to one of 0 to {known - 1}"
        )
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and 0 < longest < length:
        raise UserError(
            f"data.width {length} is longer than the {longest} positions of {name}: "
            f"use a width of {longest} or less"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
