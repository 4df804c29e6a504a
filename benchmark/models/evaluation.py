"""Held-out losses. Every token counts once; no row is dropped."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmark.models.batch import Rows
from benchmark.models.losses import token_counts
from benchmark.models.parallel import share, sum_numbers
from benchmark.models.passes import rows_at_once


@torch.no_grad()
def mean_token_loss(model: nn.Module, rows: Rows, batch_size: int = 128) -> float:
    """Mean cross-entropy over all tokens of ``rows``, in nats, without dropout.

    Processes that work together share the rows out.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    batch_size = rows_at_once(model, batch_size)
    total, tokens = 0.0, 0
    own = share(len(rows))
    for start in range(own.start, own.stop, batch_size):
        positions = np.arange(start, min(start + batch_size, own.stop))
        batch = torch.from_numpy(rows.tokens(positions)).to(device)
        total += float(model(batch).sum(dtype=torch.float64))
        tokens += int(token_counts(batch).sum())
    model.train(training)
    all_losses, all_tokens = sum_numbers(total, tokens)
    return all_losses / all_tokens
