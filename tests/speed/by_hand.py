"""A plain step as one writes it by hand: the ``paper`` model in PyTorch, without this project."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.norm_2 = nn.LayerNorm(256), nn.LayerNorm(256)
        self.qkv, self.out = nn.Linear(256, 768, bias=False), nn.Linear(256, 256, bias=False)
        self.up, self.down = nn.Linear(256, 1024), nn.Linear(1024, 256)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).view(n, t, 3, 8, 32).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=0.1)
        x = x + F.dropout(self.out(mixed.transpose(1, 2).reshape(n, t, 256)), 0.1)
        hidden = F.dropout(F.relu(self.up(self.norm_2(x))), 0.1)
        return x + F.dropout(self.down(hidden), 0.1)


class Steps:
    """Steps of training on rows ``[n, T]`` of bytes, 0 at padding and as the start symbol."""

    def __init__(self, corpus: np.ndarray, batch: int) -> None:
        self.corpus, self.batch = corpus, batch
        self.order = np.random.default_rng(0).permutation(len(corpus))
        self.embedding, self.places = nn.Embedding(256, 256), torch.randn(corpus.shape[1], 256)
        self.layers = nn.Sequential(*(Layer() for _ in range(12)), nn.LayerNorm(256))
        trained = [*self.embedding.parameters(), *self.layers.parameters()]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)

    def __call__(self, step: int) -> float:
        chosen = self.order[step * self.batch : (step + 1) * self.batch]
        rows = torch.from_numpy(self.corpus[chosen].astype(np.int64))
        x = F.dropout(self.embedding(F.pad(rows[:, :-1], (1, 0))) + self.places, 0.1)
        logits = self.layers(x) @ self.embedding.weight.T / 16
        loss = F.cross_entropy(logits.flatten(0, 1), rows.flatten(), ignore_index=0)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()
