"""BLEU and chrF of greedy translations."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmark.data.config import DataConfig
from benchmark.models.batch import Rows
from benchmark.models.influence import without_dropout
from benchmark.tasks.translation.model import TranslationModel
from benchmark.tasks.translation.rows import Sides, end_of_data

BATCH = 256


def corpus_scores(model: TranslationModel, rows: Rows, data: DataConfig) -> dict[str, float]:
    """Of the greedy translations of the sources, against their one reference, by sacrebleu."""
    import sacrebleu

    sides, end = Sides(data), end_of_data(data)
    device = next(model.parameters()).device
    said: list[str] = []
    wanted: list[str] = []
    for start in range(0, len(rows), BATCH):
        batch = rows.tokens(np.arange(start, min(start + BATCH, len(rows))))
        wanted += [sides(row)[1] for row in batch]
        given = torch.from_numpy(-batch[:, : model.given]).to(device)
        tokens = greedy(model, given, batch.shape[1] - model.given, end)
        said += [sides.translation(row) for row in tokens.cpu().numpy()]
    return {
        "bleu": float(sacrebleu.corpus_bleu(said, [wanted]).score),
        "chrf": float(sacrebleu.corpus_chrf(said, [wanted]).score),
    }


@torch.no_grad()
def greedy(model: TranslationModel, source: Tensor, longest: int, end: int) -> Tensor:
    """The likeliest token behind those before it, at most ``longest``, 0 behind ``end``.

    ``source`` ``[n, S]`` tokens, padded with 0 -> ``[n, longest]``.
    """
    tokens = torch.zeros(len(source), longest + 1, dtype=torch.int64, device=source.device)
    open_ = torch.ones(len(source), dtype=torch.bool, device=source.device)
    with without_dropout(model):
        states = model.encode(source)
        for place in range(longest):
            scores = model.decode(states, source, tokens[:, : place + 1])[:, -1]
            found = scores[:, 1 - model.id_offset :].argmax(1) + 1
            tokens[:, place + 1] = torch.where(open_, found, 0)
            open_ &= found != end
            if not open_.any():
                break
    return tokens[:, 1:]
