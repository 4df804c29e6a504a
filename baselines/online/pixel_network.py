"""A weight network that scores an image from its pixels, and never sees its label.

Two convolutions where the network of text has an embedding and one: ours, at the sizes of text.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

PATCH = 3


class PixelNetwork(nn.Module):
    """Two convolutions, each of stride 2 and followed by ReLU, their mean over places, one score.

    ``image``: channels, height and width of the images in rows. ``[n, T] -> [n]``.
    """

    def __init__(self, image: tuple[int, int, int], embedding: int, hidden: int, span: int) -> None:
        super().__init__()
        self.image = image
        self.embedding = nn.Conv2d(image[0], embedding, PATCH, stride=2, padding=PATCH // 2)
        self.convolution = nn.Conv2d(embedding, hidden, span, stride=2, padding=span // 2)
        self.score = nn.Linear(hidden, 1)

    def forward(self, rows: Tensor) -> Tensor:
        channels, height, width = self.image
        cells = rows[:, : channels * height * width].view(-1, channels, height, width)
        x = F.relu(self.embedding(cells.to(self.score.weight.dtype) / -255))
        x = F.relu(self.convolution(x)).mean((2, 3))
        scores: Tensor = self.score(x)[:, 0]
        return scores

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights: Xavier-uniform kernels, no shifts."""
        for layer in (self.embedding, self.convolution, self.score):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
