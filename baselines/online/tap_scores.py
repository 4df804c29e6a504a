"""Scores of a causal convolution over embedded tokens, from tables instead of products.

A convolution is linear in the embeddings below its taps: with ``table[tap] = embedding @
kernel[tap]``, what it gives at a position is the sum of one table row a tap. The tables take as
many products as there are different tokens, where the convolution itself takes as many as there
are positions. Numbers are those of the convolution, to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

FLOATS_AT_ONCE = {"cpu": 2**19}
"""Hidden units in memory at once: about a core's cache, and on other devices what is below."""

FLOATS_AT_ONCE_ELSEWHERE = 2**27


def convolution_scores(
    tokens: Tensor, embedding: Tensor, kernel: Tensor, bias: Tensor, score: Tensor
) -> Tensor:
    """``score . relu(convolution + bias)`` at each position, the past of the first being zero.

    ``tokens`` ``[n, T]``, ``embedding`` ``[V, E]``, ``kernel`` ``[H, E, taps]``, ``bias`` and
    ``score`` ``[H]`` -> ``[n, T]``. Tables are made for the whole vocabulary where it is smaller
    than an eighth of the positions, else for the tokens that occur.
    """
    if 8 * len(embedding) > tokens.numel():
        occurring, tokens = occurring_tokens(tokens, len(embedding))
        embedding = F.embedding(occurring, embedding)
    taps = kernel.shape[2]
    tables = torch.einsum("ve,het->tvh", embedding, kernel).flatten(0, 1)
    # What lies before the first token adds nothing: a last row of zeros.
    tables = torch.cat([tables, tables.new_zeros(1, tables.shape[1])])
    past = F.pad(tokens, (taps - 1, 0), value=-1).unfold(1, taps, 1)
    starts = torch.arange(taps, device=tokens.device) * len(embedding)
    places = torch.where(past < 0, len(tables) - 1, past + starts).flatten(0, 1)
    scores: Tensor = _TapScores.apply(tables, bias, score, places)  # type: ignore[no-untyped-call]
    return scores.view_as(tokens)


def occurring_tokens(tokens: Tensor, vocabulary_size: int) -> tuple[Tensor, Tensor]:
    """The different tokens, ascending, and the place of each of ``tokens`` among them.

    On a device they are filled up with token 0 to a number that is known: to count them, the
    processor would have to wait.
    """
    if tokens.device.type == "cpu":
        found: tuple[Tensor, Tensor] = torch.unique(tokens, return_inverse=True)
        return found
    return filled_up(tokens, vocabulary_size)


def filled_up(tokens: Tensor, vocabulary_size: int) -> tuple[Tensor, Tensor]:
    """What :func:`occurring_tokens` gives on a device, on any."""
    there = torch.zeros(vocabulary_size, dtype=torch.int64, device=tokens.device)
    there.scatter_(0, tokens.flatten(), 1)
    places = (there.cumsum(0) - 1)[tokens]
    occurring = tokens.new_zeros(min(vocabulary_size, tokens.numel()))
    return occurring.scatter_(0, places.flatten(), tokens.flatten()), places


class _TapScores(torch.autograd.Function):
    """``score . relu(sum of table rows + bias)`` of each position, piece by piece.

    ``tables`` ``[K, H]``, ``places`` ``[P, taps]`` -> ``[P]``. Nothing of size ``[P, H]`` is ever
    kept: the backward pass sums the rows once more, which is cheaper than reading them back.
    """

    @staticmethod
    def forward(ctx: Any, tables: Tensor, bias: Tensor, score: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(tables, bias, score, places)
        return torch.cat(
            [_hidden(tables, bias, piece) @ score for piece in _pieces(places, tables)]
        )

    @staticmethod
    def backward(ctx: Any, pulls: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        tables, bias, score, places = ctx.saved_tensors
        d_tables, d_bias, d_score = map(torch.zeros_like, (tables, bias, score))
        start = 0
        for piece in _pieces(places, tables):
            hidden = _hidden(tables, bias, piece)
            pull = pulls[start : start + len(piece)]
            start += len(piece)
            d_score += pull @ hidden
            d_hidden = torch.outer(pull, score).mul_(hidden > 0)
            d_bias += d_hidden.sum(0)
            for tap in piece.unbind(1):
                d_tables.index_add_(0, tap, d_hidden)
        return d_tables, d_bias, d_score, None


def _hidden(tables: Tensor, bias: Tensor, piece: Tensor) -> Tensor:
    return F.embedding_bag(piece, tables, mode="sum").add_(bias).relu_()


def _pieces(places: Tensor, tables: Tensor) -> Iterator[Tensor]:
    floats = FLOATS_AT_ONCE.get(places.device.type, FLOATS_AT_ONCE_ELSEWHERE)
    return iter(places.split(max(1, floats // tables.shape[1])))
