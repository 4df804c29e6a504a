"""A small convolutional network for images: convolutions of stride 2, one hidden layer."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from benchmark.tasks.images.options import NetworkOptions

KERNEL = 3


class ImageModel(nn.Module):
    """What maps rows to the loss of their label, by the scores of :meth:`logits`.

    ``forward``: rows ``[n, T]`` -> losses ``[n, T]`` in nats, 0 but in the column of the label.
    """

    def __init__(self, image: tuple[int, int, int]) -> None:
        super().__init__()
        self.image = image

    def logits(self, pixels: Tensor) -> Tensor:
        """Scores of the labels ``[n, K]`` of images ``[n, C, H, W]`` from 0 to 1."""
        raise NotImplementedError

    def label_scores(self, rows: Tensor) -> Tensor:
        """Scores of the labels ``[n, K]`` of rows ``[n, T]``."""
        dtype = torch.get_default_dtype()
        return self.logits(rows[:, :-1].view(-1, *self.image).to(dtype) / -255)

    def forward(self, rows: Tensor) -> Tensor:
        losses = F.cross_entropy(self.label_scores(rows), rows[:, -1] - 1, reduction="none")
        return F.pad(losses[:, None], (rows.shape[1] - 1, 0))


class ConvolutionalNetwork(ImageModel):
    """Convolutions of stride 2 with ReLU, a hidden layer, a score for each label."""

    def __init__(
        self, size: NetworkOptions, image: tuple[int, int, int], labels: int, seed: int
    ) -> None:
        super().__init__(image)
        self.options, self.labels = size, labels
        channels, height, width = image
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, KERNEL, stride=2, padding=KERNEL // 2)
            for before, after in pairwise((channels, *size.channels))
        )
        for _ in size.channels:
            height, width = -(-height // 2), -(-width // 2)
        self.hidden = nn.Linear(size.channels[-1] * height * width, size.hidden)
        self.output = nn.Linear(size.hidden, labels)
        self.dropout = nn.Dropout(size.dropout)
        self._initialise(torch.Generator().manual_seed(seed))

    def _initialise(self, generator: torch.Generator) -> None:
        """He-uniform kernels below ReLUs, a Xavier-uniform one for the scores, no shifts."""
        for layer in (*self.convolutions, self.hidden, self.output):
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            if layer is self.output:
                nn.init.xavier_uniform_(layer.weight, generator=generator)
            else:
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    @property
    def drops_out(self) -> bool:
        """Whether a pass in training differs from one that scores."""
        return self.options.dropout > 0

    def resized(self, scale: float, seed: int) -> ConvolutionalNetwork:
        """A network ``scale`` times as wide with fresh weights, without dropout."""
        return ConvolutionalNetwork(self.options.scaled(scale), self.image, self.labels, seed)

    def logits(self, pixels: Tensor) -> Tensor:
        x = pixels
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        scores: Tensor = self.output(self.dropout(F.relu(self.hidden(x.flatten(1)))))
        return scores
