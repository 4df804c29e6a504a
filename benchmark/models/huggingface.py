"""Causal language models of Hugging Face as main models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.models.config import ModelConfig
from benchmark.models.losses import cross_entropy


class HuggingFaceModel(nn.Module):
    """A Hugging Face causal language model seen as a map from rows to token losses.

    Row tokens are ``id + id_offset``: 1 for rows of a Hugging Face tokeniser (0 is kept for
    padding), 0 for byte rows, whose padding doubles as the start symbol.
    """

    def __init__(self, model: Any, id_offset: int, start_id: int) -> None:
        super().__init__()
        self.model = model
        self.id_offset = id_offset
        self.start_id = start_id

    def forward(self, rows: Tensor) -> Tensor:
        labels = (rows - self.id_offset).clamp(min=0)
        inputs = torch.cat([torch.full_like(labels[:, :1], self.start_id), labels[:, :-1]], 1)
        logits = self.model(input_ids=inputs, use_cache=False).logits
        return cross_entropy(logits, labels, rows > 0)


def build_huggingface(
    config: ModelConfig, vocabulary_size: int, length: int, tokenizer: str, seed: int
) -> HuggingFaceModel:
    """The model of a checkpoint or configuration, its fresh weights drawn by ``seed``.

    Raises:
        UserError: as of `benchmark.models.build.build_model`.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    id_offset = 0 if tokenizer == "bytes" else 1
    ids = vocabulary_size - id_offset
    try:
        if config.huggingface is not None:
            # Never a pickle: only safetensors weights are accepted.
            model = AutoModelForCausalLM.from_pretrained(config.huggingface, use_safetensors=True)
        else:
            options = {"vocab_size": ids, **(config.huggingface_config or {})}
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**options))
    except (OSError, ValueError, TypeError, KeyError) as error:
        name = config.huggingface or config.huggingface_config
        problem = str(error).strip().splitlines()[0]
        raise UserError(
            f"model {name!r} could not be loaded: {problem}; give a hub id, a folder with "
            "config.json and model.safetensors, or a valid huggingface_config with model_type"
        ) from error
    _check_fits(model.config, ids, length, tokenizer, config)
    start = model.config.bos_token_id if id_offset else 0
    model.config.pad_token_id = None
    return HuggingFaceModel(model, id_offset, start or 0)


def _check_fits(settings: Any, ids: int, length: int, tokenizer: str, config: ModelConfig) -> None:
    if settings.vocab_size < ids:
        raise UserError(
            f"model {config.huggingface or 'huggingface_config'!r} knows {settings.vocab_size} "
            f"tokens but tokenizer {tokenizer!r} makes {ids}: set data.tokenizer to the model's own"
        )
    longest = getattr(settings, "max_position_embeddings", None)
    if longest is not None and longest < length:
        raise UserError(
            f"data.width {length} is longer than the {longest} positions of model "
            f"{config.huggingface or 'huggingface_config'!r}: use a width of {longest} or less"
        )
