"""Settings of image tasks and of their own network."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, PositiveInt, ValidationError, field_validator

from benchmark.core.errors import unknown
from benchmark.core.frozen import Frozen
from benchmark.core.wording import problem

Size = Annotated[int, Field(ge=4, le=1024)]
Options = TypeVar("Options", bound=Frozen)


class ImageOptions(Frozen):
    """What images are made of (``data.options`` of task ``images``)."""

    size: tuple[Size, Size]
    """Height and width of all images, in pixels."""
    labels: tuple[str, ...] = Field(min_length=2)
    """Every label, in the order in which the model has them."""
    channels: Literal[1, 3] = 1
    """1: shades of grey; 3: red, green and blue. Images are converted."""
    resize: bool = False
    """Scale images of other sizes; false: leave them out and say so."""

    @field_validator("labels")
    @classmethod
    def _differ(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is listed twice")
        return labels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return (self.channels, *self.size)


class NetworkOptions(Frozen):
    """Size of the small convolutional network (``network`` of a model of task ``images``)."""

    channels: tuple[PositiveInt, ...] = Field(default=(16, 32), min_length=1, max_length=6)
    """Those of each convolution; each halves height and width."""
    hidden: PositiveInt = 64
    """Units of the layer between convolutions and labels."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the hidden units that are set to 0 in training, at random."""

    def scaled(self, scale: float) -> NetworkOptions:
        """``scale`` times as many channels and hidden units, no dropout."""
        return NetworkOptions(
            channels=tuple(max(1, round(scale * count)) for count in self.channels),
            hidden=max(1, round(scale * self.hidden)),
        )


NETWORKS = {
    "mini": NetworkOptions(),
    "small": NetworkOptions(channels=(32, 64, 128), hidden=128),
}


def image_options(content: dict[str, Any]) -> ImageOptions:
    """Validated; raises ValueError, in one line that names the key."""
    return _validated(ImageOptions, content, "options")


def network_options(content: dict[str, Any]) -> NetworkOptions:
    """Validated; raises ValueError, in one line that names the key."""
    return _validated(NetworkOptions, content, "network")


def _validated(model: type[Options], content: dict[str, Any], at: str) -> Options:
    for key in content:
        if key not in model.model_fields:
            raise ValueError(str(unknown("key", key, model.model_fields, at=f"{at}: ")))
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([at, *map(str, first["loc"])])
        if first["type"] == "missing":
            raise ValueError(f"{key} is missing") from None
        raise ValueError(f"{key}: {problem(first)}") from None
