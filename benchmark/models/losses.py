"""The loss of each example, on which training, scoring, influence and evaluation are built.

A row is a fixed-width vector of cells: above 0 those that a model is to predict, below 0 what it is
given, 0 where there is nothing. A row of text is its tokens, padded on the right with 0, which is
also the start symbol. A main model maps rows ``[n, T]`` to losses ``[n, T]``, 0 where nothing is
predicted.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own convention)


def token_counts(rows: Tensor) -> Tensor:
    """Number of tokens that are predicted in each row: ``[n, T] -> [n]``."""
    return (rows > 0).sum(1)


def per_example_loss(model: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """Mean cross-entropy over the tokens predicted of each row, in nats: ``[n, T] -> [n]``."""
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


def cross_entropy(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Token losses ``[n, T]`` of ``logits`` ``[n, T, V]``, zero where ``mask`` is false."""
    # In bfloat16, a loss would keep three digits.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view_as(labels) * mask
