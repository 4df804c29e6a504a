"""An encoder-decoder transformer of our own, of the parts that the decoder-only one has."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from benchmark.models.attention import causal_attention
from benchmark.models.config import TransformerConfig
from benchmark.models.losses import cross_entropy, shifted
from benchmark.models.transformer import sinusoids


class TranslationModel(nn.Module):
    """What maps rows to the losses of the tokens of their translations.

    ``forward``: rows ``[n, T]`` -> losses ``[n, T]`` in nats, 0 at the ``given`` cells of the
    source and at padding. The score of token t is that of number ``t - id_offset``.
    """

    id_offset = 0

    def __init__(self, given: int) -> None:
        super().__init__()
        self.given = given

    @abstractmethod
    def encode(self, source: Tensor) -> Tensor:
        """States ``[n, S, d]`` of source tokens ``[n, S]``, padded with 0."""

    @abstractmethod
    def decode(self, states: Tensor, source: Tensor, before: Tensor) -> Tensor:
        """Scores ``[n, t, V]`` of what follows each token of ``before`` ``[n, t]``, 0 first."""

    def forward(self, rows: Tensor) -> Tensor:
        source, target = -rows[:, : self.given], rows[:, self.given :]
        scores = self.decode(self.encode(source), source, shifted(target))
        labels = (target - self.id_offset).clamp(min=0)
        return F.pad(cross_entropy(scores, labels, target > 0), (self.given, 0))


class Attention(nn.Module):
    """Multi-head attention without biases, of its own norm; added to what it is given."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.attention_dropout = config.heads, config.attention_dropout
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, to: Tensor | None = None, real: Tensor | None = None) -> Tensor:
        """Each position to itself and those before; or to those of ``to`` that are ``real``.

        ``x`` ``[n, T, d]``, ``to`` ``[n, S, d]`` normed states, ``real`` ``[n, S]``.
        """
        own = self.norm(x)
        q = self._heads(self.query(own))
        k, v = map(self._heads, self.key_value(own if to is None else to).chunk(2, 2))
        dropout = self.attention_dropout if self.training else 0.0
        if real is None:
            mixed = causal_attention(q, k, v, dropout)
        else:
            seen = real[:, None, None, :]
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropout)
        added: Tensor = self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return x + added

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Hidden(nn.Module):
    """A two-layer ReLU network of its own norm; added to what it is given."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.inner = nn.Linear(config.width, config.hidden)
        self.out = nn.Linear(config.hidden, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.dropout(self.out(self.dropout(F.relu(self.inner(self.norm(x))))))
        return x + added


class EncoderLayer(nn.Module):
    """Attention of each source token to all, then a network."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention, self.hidden = Attention(config), Hidden(config)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        mixed: Tensor = self.hidden(self.attention(x, self.attention.norm(x), real))
        return mixed


class DecoderLayer(nn.Module):
    """Attention to the tokens before, attention to the source, then a network."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention, self.across = Attention(config), Attention(config)
        self.hidden = Hidden(config)

    def forward(self, x: Tensor, states: Tensor, real: Tensor) -> Tensor:
        mixed: Tensor = self.hidden(self.across(self.attention(x), states, real))
        return mixed


class EncoderDecoder(TranslationModel):
    """As many pre-norm layers each way, one tied embedding, fixed sinusoidal positions."""

    positions: Tensor

    def __init__(
        self, config: TransformerConfig, vocabulary_size: int, length: int, given: int, seed: int
    ) -> None:
        super().__init__(given)
        self.size, self.length, self.vocabulary_size = config, length, vocabulary_size
        self.embedding = nn.Embedding(vocabulary_size, config.width)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.encoder_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.decoder_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.dropout = nn.Dropout(config.dropout)
        table = sinusoids(length, config.width).to(torch.get_default_dtype())
        self.register_buffer("positions", table, persistent=False)
        self._initialise(torch.Generator().manual_seed(seed))

    def _initialise(self, generator: torch.Generator) -> None:
        """Unit-normal embeddings, Xavier-uniform kernels."""
        nn.init.normal_(self.embedding.weight, generator=generator)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                for kernel in module.weight.chunk(max(1, len(module.weight) // self.size.width)):
                    nn.init.xavier_uniform_(kernel, generator=generator)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=1e-6, generator=generator)

    @property
    def drops_out(self) -> bool:
        """Whether a pass in training differs from one that scores."""
        return self.size.dropout > 0 or self.size.attention_dropout > 0

    def resized(self, scale: float, seed: int) -> EncoderDecoder:
        """A model ``scale`` times as deep and wide with fresh weights, without dropout."""
        size = self.size.scaled(scale)
        return EncoderDecoder(size, self.vocabulary_size, self.length, self.given, seed)

    def encode(self, source: Tensor) -> Tensor:
        real = source > 0
        x = self._embedded(source)
        for layer in self.encoder:
            x = layer(x, real)
        states: Tensor = self.encoder_norm(x)
        return states

    def decode(self, states: Tensor, source: Tensor, before: Tensor) -> Tensor:
        real = source > 0
        x = self._embedded(before)
        for layer in self.decoder:
            x = layer(x, states, real)
        scale = 1 / math.sqrt(self.size.width)
        return F.linear(self.decoder_norm(x), self.embedding.weight) * scale

    def _embedded(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.dropout(self.embedding(tokens) + self.positions[: tokens.shape[1]])
        return found
