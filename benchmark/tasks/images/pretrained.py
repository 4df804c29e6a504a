"""Image classifiers of Hugging Face as main models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark.core.errors import UserError
from benchmark.core.hub import name_and_commit
from benchmark.models.config import ModelConfig
from benchmark.models.drawn import refusing
from benchmark.models.huggingface import name_of
from benchmark.models.probe import probe_rows
from benchmark.models.probed import Findings, remembered
from benchmark.tasks.images.model import ConvolutionalNetwork, ImageModel
from benchmark.tasks.images.options import ImageOptions, NetworkOptions

_ADVICE = "give an image classifier: a folder with config.json and model.safetensors, or its hub id"
USUAL_MEAN = USUAL_DEVIATION = 0.5


class HuggingFaceClassifier(ImageModel):
    """An image classifier of transformers; pixels are scaled as its processor does.

    Grey images are shown to a model of three colours in each of them.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, model: Any, options: ImageOptions, mean: list[float], deviation: list[float]
    ) -> None:
        super().__init__(options.shape)
        self.model = model
        self.labels = len(options.labels)
        self.central_differences: tuple[str, ...] = ()
        self.without_hessian = False
        self.colours = int(getattr(model.config, "num_channels", options.channels))
        for name, values in (("mean", mean), ("deviation", deviation)):
            table = torch.tensor(values, dtype=torch.get_default_dtype())
            self.register_buffer(name, table.view(-1, 1, 1), persistent=False)

    def resized(self, scale: float, seed: int) -> ConvolutionalNetwork:
        """Our network, whatever this one is, ``scale`` times as wide as the preset ``small``."""
        size = NetworkOptions(channels=(32, 64, 128), hidden=128).scaled(scale)
        return ConvolutionalNetwork(size, self.image, self.labels, seed)

    def logits(self, pixels: Tensor) -> Tensor:
        if pixels.shape[1] < self.colours:
            pixels = pixels.expand(-1, self.colours, -1, -1)
        scaled = (pixels - self.mean) / self.deviation
        scores: Tensor = self.model(pixel_values=scaled).logits
        return scores


def build_pretrained(
    config: ModelConfig, options: ImageOptions, seed: int, probes: Path
) -> HuggingFaceClassifier:
    """The classifier of a checkpoint, a new head drawn by ``seed`` if it has other labels.

    Or one from scratch; what the probe finds is remembered in the folder ``probes``.

    Raises:
        UserError: it cannot be made, does not fit the images, or fails its probe.
    """
    name = name_of(config)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _loaded(config, options, name) if config.huggingface else _drawn(config, options)
    _require_fit(model, options, name)
    mean, deviation = _scaling(config)
    made = HuggingFaceClassifier(model, options, mean, deviation)
    rows = _two_rows(options)

    def probed() -> Findings:
        differences, without_hessian = probe_rows(made, name, rows)
        return Findings(central_differences=differences, without_hessian=without_hessian)

    layout = (len(options.labels), rows.shape[1], f"pixels {options.shape}")
    found = remembered(config, layout, probes, probed)
    made.central_differences = found.central_differences
    made.without_hessian = found.without_hessian
    return made


def _loaded(config: ModelConfig, options: ImageOptions, name: str) -> Any:
    from transformers import AutoModelForImageClassification

    place, commit = name_and_commit(config.checkpoint)
    with refusing(name, _ADVICE):
        # Never a pickle and never code of others: only safetensors weights are accepted.
        return AutoModelForImageClassification.from_pretrained(
            place,
            revision=commit,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.get_default_dtype(),
            num_labels=len(options.labels),
            ignore_mismatched_sizes=True,
        )


def _drawn(config: ModelConfig, options: ImageOptions) -> Any:
    from transformers import AutoConfig, AutoModelForImageClassification

    given = dict(config.huggingface_config or {})
    kind = given.pop("model_type")
    channels, height, width = options.shape
    sizes = {
        "num_labels": len(options.labels),
        "num_channels": channels,
        "image_size": height if height == width else [height, width],
    }
    with refusing(f"huggingface_config of model_type {kind!r}", "correct its options"):
        settings = AutoConfig.for_model(kind, **{**sizes, **given})
        return AutoModelForImageClassification.from_config(
            settings, dtype=torch.get_default_dtype()
        )


def _require_fit(model: nn.Module, options: ImageOptions, name: str) -> None:
    if any(isinstance(module, _BatchNorm) for module in model.modules()):
        raise UserError(
            f"{name}: batch normalisation makes the loss of an image depend on the others of its "
            "batch, so that no gradient is one image's: give a model without, such as vit"
        )
    settings: Any = model.config
    size = getattr(settings, "image_size", None)
    wanted = [size, size] if isinstance(size, int) else size
    if wanted is not None and list(wanted) != list(options.size):
        raise UserError(
            f"{name} takes images of {wanted[0]} x {wanted[1]}: set data.options.size to "
            f"[{wanted[0]}, {wanted[1]}] and data.options.resize to true"
        )
    colours = getattr(settings, "num_channels", options.channels)
    if colours != options.channels and options.channels != 1:
        raise UserError(f"{name} takes {colours} channels: set data.options.channels to {colours}")


def _scaling(config: ModelConfig) -> tuple[list[float], list[float]]:
    """Mean and deviation that a checkpoint's processor scales pixels by, else usual ones."""
    usual = [USUAL_MEAN], [USUAL_DEVIATION]
    if config.huggingface is None:
        return usual
    from transformers.utils.hub import cached_file

    place, commit = name_and_commit(config.checkpoint)
    file = cached_file(
        place,
        "preprocessor_config.json",
        revision=commit,
        _raise_exceptions_for_missing_entries=False,
    )
    said = {} if file is None else json.loads(Path(str(file)).read_bytes())
    return said.get("image_mean", usual[0]), said.get("image_std", usual[1])


def _two_rows(options: ImageOptions) -> Tensor:
    """Two rows of made-up pixels, with the first and the last label."""
    generator = torch.Generator().manual_seed(0)
    count = options.channels * options.size[0] * options.size[1]
    pixels = -torch.randint(0, 256, (2, count), generator=generator)
    return torch.cat([pixels, torch.tensor([[1], [len(options.labels)]])], 1)
