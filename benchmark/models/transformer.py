"""Main models behind one function: the loss of each example.

A row is a fixed-width vector of tokens, padded on the right with 0; 0 is also the start symbol.
A main model maps rows to token losses; everything else (training, scoring, influence,
evaluation) is built on :func:`per_example_loss`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from benchmark.core.errors import UserError
from benchmark.models.attention import causal_attention
from benchmark.models.config import PRESETS, ModelConfig, TransformerConfig


def token_counts(rows: Tensor) -> Tensor:
    """Number of tokens that are not padding in each row: ``[n, T] -> [n]``."""
    return (rows > 0).sum(1)


def per_example_loss(model: nn.Module, rows: Tensor) -> Tensor:
    """Mean cross-entropy over the tokens of each row, in nats: ``[n, T] -> [n]``."""
    losses: Tensor = model(rows)
    return losses.sum(1) / token_counts(rows).clamp(min=1)


def token_share(rows: Tensor, weights: Tensor | None = None) -> Tensor:
    """The weight of each example in a batch loss that weighs every token alike, summing to one.

    ``weights`` ``[n]`` multiply the tokens of their example; by default all are one.
    """
    counts = token_counts(rows).to(torch.get_default_dtype() if weights is None else weights.dtype)
    mass = counts if weights is None else counts * weights
    return mass / mass.sum()


def shifted(rows: Tensor) -> Tensor:
    """The model's input: rows moved one position to the right behind the start symbol 0."""
    return F.pad(rows[:, :-1], (1, 0))


def sinusoids(length: int, width: int) -> Tensor:
    """Fixed position table ``[length, width]``: sines in the first half, cosines in the second."""
    half = width // 2
    rates = torch.exp(-math.log(10_000.0) * torch.arange(half, dtype=torch.float64) / (half - 1))
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class Block(nn.Module):
    """One pre-norm layer: causal self-attention without biases, then a two-layer ReLU network."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp_in = nn.Linear(width, hidden)
        self.mlp_out = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = (
            part.view(n, length, self.heads, -1).transpose(1, 2)
            for part in self.query_key_value(self.attention_norm(x)).chunk(3, dim=2)
        )
        # Padding is on the right, so causality alone keeps it away from every real token.
        mixed = causal_attention(q, k, v).transpose(1, 2).reshape(n, length, width)
        x = x + self.dropout(self.attention_out(mixed))
        hidden = self.dropout(F.relu(self.mlp_in(self.mlp_norm(x))))
        out: Tensor = x + self.dropout(self.mlp_out(hidden))
        return out


class Transformer(nn.Module):
    """The paper's byte transformer at any size: tied embeddings, fixed sinusoidal positions.

    ``forward`` maps rows ``[n, T]`` to token losses ``[n, T]`` in nats, 0 at padding.
    Architecture and initialisation: arXiv 2311.11973, as its public code has them.
    """

    positions: Tensor

    def __init__(self, config: TransformerConfig, vocabulary_size: int, length: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.dropout = nn.Dropout(config.dropout)
        table = sinusoids(length, config.width).to(torch.get_default_dtype())
        self.register_buffer("positions", table, persistent=False)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh parameters: unit-normal embeddings, Xavier-uniform kernels."""
        nn.init.normal_(self.embedding.weight, generator=generator)
        for block in self.blocks:
            assert isinstance(block, Block)
            for kernel in block.query_key_value.weight.chunk(3):
                nn.init.xavier_uniform_(kernel, generator=generator)
            for layer in (block.attention_out, block.mlp_in, block.mlp_out):
                nn.init.xavier_uniform_(layer.weight, generator=generator)
            for layer in (block.mlp_in, block.mlp_out):
                nn.init.normal_(layer.bias, std=1e-6, generator=generator)

    def logits(self, rows: Tensor) -> Tensor:
        """Next-token scores ``[n, T, V]`` for every position of ``rows`` ``[n, T]``."""
        x = self.dropout(self.embedding(shifted(rows)) + self.positions[: rows.shape[1]])
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.norm(x) @ self.embedding.weight.T / math.sqrt(x.shape[2])
        return logits

    def forward(self, rows: Tensor) -> Tensor:
        return cross_entropy(self.logits(rows), rows, rows > 0)


def cross_entropy(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Token losses ``[n, T]`` of ``logits`` ``[n, T, V]``, zero where ``mask`` is false."""
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view_as(labels) * mask


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


def build_model(
    config: ModelConfig, *, vocabulary_size: int, length: int, tokenizer: str, seed: int
) -> nn.Module:
    """The main model with its initial weights, which depend on ``seed`` only.

    ``vocabulary_size`` counts the padding token; ``length`` is the width of a row; ``tokenizer``
    is the name that the rows were made with.

    Raises:
        UserError: a checkpoint that cannot be read or whose vocabulary does not fit the rows.
    """
    generator = torch.Generator().manual_seed(seed)
    if config.huggingface or config.huggingface_config:
        return _build_huggingface(config, vocabulary_size, length, tokenizer, seed)
    size = config.transformer or PRESETS[str(config.preset)]
    model = Transformer(size, vocabulary_size, length)
    model.initialise(generator)
    return model


def _build_huggingface(
    config: ModelConfig, vocabulary_size: int, length: int, tokenizer: str, seed: int
) -> nn.Module:
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
