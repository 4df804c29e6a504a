"""Weight networks: small models that score an example from its tokens.

Source: arXiv 2311.11973, section 4 and its public code (``lm/model.py``). Both read the shifted
input, start symbol first, so they never see a row's last token. Of pairs they read both sides.
More: docs/online-selectors.md
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from baselines.online.pixel_network import PixelNetwork
from baselines.online.tap_scores import convolution_scores
from benchmark.api import PIXELS, TOKENS, Frozen, shifted, token_counts

Size = Annotated[int, Field(gt=0)]


class NetworkConfig(Frozen):
    """Kind and size of a weight network; the defaults are those of the published runs of text."""

    kind: Literal["convolution", "bag_of_ngrams"] = "convolution"
    """``convolution``: a convolution over embedded tokens, or two over an image's pixels;
    ``bag_of_ngrams``: the mean embedding of n-grams of tokens.
    """

    embedding: Size = 128
    """Dimension of the embeddings; of images, channels of the first convolution."""

    hidden: Size = 128
    """Channels of the convolution, or hidden units behind the mean embedding."""

    span: Annotated[int, Field(ge=1, le=64)] = 7
    """Tokens under the convolution's kernel, or its rows and columns, or the longest n-gram."""

    buckets: Size = 4096
    """``bag_of_ngrams`` only: embeddings that n-grams of two tokens or more are hashed to."""

    def reads(self) -> frozenset[str]:
        """What rows must be for it."""
        return frozenset({TOKENS, PIXELS} if self.kind == "convolution" else {TOKENS})


SMALL_NETWORK = {"network": {"embedding": 8, "hidden": 8}}
"""Hyper-parameters of a method that make its network quick to check."""


class ConvolutionNetwork(nn.Module):
    """Embedding, one causal convolution, ReLU, one score a position, mean over tokens.

    ``[n, T] -> [n]``.
    """

    def __init__(self, vocabulary_size: int, embedding: int, hidden: int, span: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        self.convolution = nn.Conv1d(embedding, hidden, span)
        self.score = nn.Linear(hidden, 1)

    def forward(self, rows: Tensor) -> Tensor:
        assert self.convolution.bias is not None
        rows = rows.abs()
        scores = convolution_scores(
            shifted(rows),
            self.embedding.weight,
            self.convolution.weight,
            self.convolution.bias,
            self.score.weight[0],
        )
        summed = ((scores + self.score.bias) * (rows > 0)).sum(1)
        mean: Tensor = summed / (token_counts(rows) + 1e-6)
        return mean

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights: unit-normal embeddings, Xavier-uniform kernel, LeCun-normal score."""
        nn.init.normal_(self.embedding.weight, generator=generator)
        nn.init.xavier_uniform_(self.convolution.weight, generator=generator)
        # A normal cut at two standard deviations has .8796 of its own.
        std = self.score.in_features**-0.5 / 0.87962566
        nn.init.trunc_normal_(
            self.score.weight, std=std, a=-2 * std, b=2 * std, generator=generator
        )
        for name, value in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(value)


class BagOfNgramsNetwork(nn.Module):
    """Mean embedding of the n-grams up to length ``span``, then a two-layer network.

    ``span`` 1 is the reference's bag of words. Longer n-grams are hashed into ``buckets``
    rows behind the single tokens. ``[n, T] -> [n]``.
    """

    def __init__(
        self, vocabulary_size: int, embedding: int, hidden: int, span: int, buckets: int
    ) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.span = span
        self.buckets = buckets
        rows = vocabulary_size + (buckets if span > 1 else 0)
        self.embedding = nn.Embedding(rows, embedding)
        self.hidden = nn.Linear(embedding, hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(self, rows: Tensor) -> Tensor:
        features = self.features(shifted(rows.abs()))
        summed = F.embedding_bag(features, self.embedding.weight, mode="sum", padding_idx=0)
        mean = summed / ((features > 0).sum(1, keepdim=True) + 1e-6)
        scores: Tensor = self.score(F.relu(self.hidden(mean)))[:, 0]
        return scores

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights: unit-normal embeddings, Xavier-uniform kernels."""
        nn.init.normal_(self.embedding.weight, generator=generator)
        for layer in (self.hidden, self.score):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)

    def features(self, inputs: Tensor) -> Tensor:
        """Embedding rows of all n-grams, 0 where there is none: ``[n, T] -> [n, span * T]``."""
        grams = [inputs]
        code = inputs
        for length in range(2, self.span + 1):
            before = F.pad(inputs[:, : 1 - length], (length - 1, 0))
            code = (code * 1_000_003 + before) % 2_147_483_647
            complete = (inputs > 0) & (before > 0)
            grams.append(torch.where(complete, self.vocabulary_size + code % self.buckets, 0))
        return torch.cat(grams, 1)


WeightNetwork = ConvolutionNetwork | BagOfNgramsNetwork | PixelNetwork


def build_network(
    config: NetworkConfig,
    vocabulary_size: int,
    seed: int,
    image: tuple[int, int, int] | None = None,
) -> WeightNetwork:
    """A weight network with the source's initial weights, which depend on ``seed`` only.

    ``image``: channels, height and width where rows are images.
    """
    network: WeightNetwork
    if image is not None:
        network = PixelNetwork(image, config.embedding, config.hidden, config.span)
    elif config.kind == "convolution":
        network = ConvolutionNetwork(vocabulary_size, config.embedding, config.hidden, config.span)
    else:
        network = BagOfNgramsNetwork(
            vocabulary_size, config.embedding, config.hidden, config.span, config.buckets
        )
    network.initialise(torch.Generator().manual_seed(seed))
    return network


def example_log_probability(scores: Tensor, rows: Tensor) -> Tensor:
    """Log of the share of each example when a softmax runs over all token cells of the batch.

    The shares are proportional to length times exp(score) and sum to one: ``[n] -> [n]``.
    """
    lengths = token_counts(rows).clamp(min=1).to(scores.dtype)
    return torch.log_softmax(scores + lengths.log(), 0)
