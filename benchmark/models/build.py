"""Main models behind one function."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from benchmark.models.config import PRESETS, ModelConfig, TransformerConfig
from benchmark.models.huggingface import build_huggingface
from benchmark.models.transformer import Transformer


def build_model(
    config: ModelConfig,
    *,
    vocabulary_size: int,
    length: int,
    tokenizer: str,
    seed: int,
    probes: Path | None = None,
) -> nn.Module:
    """The main model with its initial weights, which depend on ``seed`` only.

    ``vocabulary_size`` counts the padding token; ``length`` is the width of a row; ``tokenizer``
    is the name that the rows were made with; in the folder ``probes``, what the probe of a model
    that is not ours finds is remembered.

    Raises:
        UserError: a checkpoint that cannot be read or whose vocabulary does not fit the rows; a
            model that is not ours and fails its probe.
    """
    if config.huggingface is not None or config.huggingface_config is not None:
        return build_huggingface(config, vocabulary_size, length, tokenizer, seed, probes)
    size = config.transformer or PRESETS[str(config.preset)]
    return build_transformer(size, vocabulary_size, length, seed)


def build_transformer(
    size: TransformerConfig, vocabulary_size: int, length: int, seed: int
) -> Transformer:
    """Our transformer with fresh weights, which depend on ``seed`` only."""
    model = Transformer(size, vocabulary_size, length)
    model.initialise(torch.Generator().manual_seed(seed))
    return model
