"""The paper's byte transformer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from benchmark.models.attention import causal_attention
from benchmark.models.config import TransformerConfig
from benchmark.models.losses import cross_entropy, shifted
from benchmark.models.passes import in_precision


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
        self.attention_dropout = config.attention_dropout
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
        dropout = self.attention_dropout if self.training else 0.0
        mixed = causal_attention(q, k, v, dropout).transpose(1, 2).reshape(n, length, width)
        x = x + self.dropout(self.attention_out(mixed))
        hidden = self.dropout(F.relu(self.mlp_in(self.mlp_norm(x))))
        out: Tensor = x + self.dropout(self.mlp_out(hidden))
        return out


class Transformer(nn.Module):
    """The paper's byte transformer at any size: tied embeddings, fixed sinusoidal positions.

    ``forward`` maps rows ``[n, T]`` to token losses ``[n, T]`` in nats, 0 at padding.
    Architecture and initialisation: arXiv 2311.11973, as its public code has them.
    """

    recordable = True
    """Every parameter is used in a way that tells the gradients of rows."""

    positions: Tensor

    def __init__(self, config: TransformerConfig, vocabulary_size: int, length: int) -> None:
        super().__init__()
        self.size = config
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

    @property
    def drops_out(self) -> bool:
        """Whether a pass in training differs from one that scores."""
        return self.size.dropout > 0 or self.size.attention_dropout > 0

    def logits(self, rows: Tensor) -> Tensor:
        """Next-token scores ``[n, T, V]`` for every position of ``rows`` ``[n, T]``."""
        x = self.dropout(self.embedding(shifted(rows)) + self.positions[: rows.shape[1]])
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.embedding.weight) / math.sqrt(x.shape[2])

    @in_precision
    def forward(self, rows: Tensor) -> Tensor:
        return cross_entropy(self.logits(rows), rows, rows > 0)
