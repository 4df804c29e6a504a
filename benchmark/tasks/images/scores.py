"""What a classifier is scored by beside its loss."""

from __future__ import annotations

import numpy as np
import torch

from benchmark.models.batch import Rows
from benchmark.models.influence import without_dropout
from benchmark.models.parallel import share, sum_numbers
from benchmark.tasks.images.model import ImageModel

BATCH = 128


@torch.no_grad()
def accuracy(model: ImageModel, rows: Rows) -> float:
    """Share of the images whose label has the highest score; processes share the rows out."""
    device = next(model.parameters()).device
    own = share(len(rows))
    right = 0
    with without_dropout(model):
        for start in range(own.start, own.stop, BATCH):
            positions = np.arange(start, min(start + BATCH, own.stop))
            batch = torch.from_numpy(rows.tokens(positions)).to(device)
            right += int((model.label_scores(batch).argmax(1) == batch[:, -1] - 1).sum())
    found, count = sum_numbers(float(right), own.stop - own.start)
    return found / count
