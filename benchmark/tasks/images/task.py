"""Classification of images, as the other layers see it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.core.errors import unknown
from benchmark.data.config import DataConfig
from benchmark.data.task_rows import TaskRows
from benchmark.models.config import ModelConfig
from benchmark.tasks.images.options import NETWORKS, image_options, network_options
from benchmark.tasks.kind import PIXELS, TaskKind

if TYPE_CHECKING:
    from torch import nn

    from benchmark.data import PreparedData
    from benchmark.models.batch import Rows


class Images(TaskKind):
    """Images and their labels."""

    name = "images"
    summary = "the label of an image"
    reads = frozenset({PIXELS})
    near_duplicates = False
    per = "image"

    @cached_property
    def rows(self) -> TaskRows:
        from benchmark.tasks.images.rows import ImageRows

        return ImageRows()

    def options_of(self, data: DataConfig) -> dict[str, Any]:
        usual = DataConfig.model_fields
        for key in ("width", "tokenizer", "examples", "min_tokens"):
            if getattr(data, key) != usual[key].default:
                raise ValueError(f"{key}: is about text, of no use to images: leave it out")
        if data.near_duplicates == "remove":
            raise ValueError(
                "near_duplicates: remove compares runs of tokens, and images have none: leave it "
                "out, or write keep"
            )
        return image_options(data.options).model_dump(mode="json")

    def check_model(self, model: ModelConfig) -> None:
        if model.transformer is not None:
            raise ValueError(
                "transformer: reads tokens: give a preset, network, huggingface or "
                "huggingface_config for images"
            )
        if model.preset is not None and model.preset not in NETWORKS:
            raise ValueError(str(unknown("preset of images", model.preset, NETWORKS)))
        if model.network is not None:
            network_options(model.network)

    def build_model(
        self, model: ModelConfig, data: DataConfig, rows: PreparedData, seed: int
    ) -> nn.Module:
        options = image_options(data.options)
        if model.huggingface is not None or model.huggingface_config is not None:
            from benchmark.tasks.images.pretrained import build_pretrained

            return build_pretrained(model, options, seed, rows.cache / "probes")
        from benchmark.tasks.images.model import ConvolutionalNetwork

        size = NETWORKS[model.preset] if model.preset else network_options(model.network or {})
        return ConvolutionalNetwork(size, options.shape, len(options.labels), seed)

    def image(self, data: DataConfig) -> tuple[int, int, int]:
        return image_options(data.options).shape

    def scores(self, model: nn.Module, rows: Rows, data: DataConfig) -> dict[str, float]:  # noqa: ARG002
        from benchmark.tasks.images.model import ImageModel
        from benchmark.tasks.images.scores import accuracy

        assert isinstance(model, ImageModel)
        return {"accuracy": accuracy(model, rows)}

    def small_problem(self, folder: Path) -> dict[str, Any]:
        from benchmark.tasks.images.problem import small_problem

        return small_problem(folder)
