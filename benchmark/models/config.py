"""Which main model a study trains: validated settings, importable without torch."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from benchmark.core.errors import unknown
from benchmark.core.frozen import Frozen
from benchmark.core.hub import pinned

Positive = Annotated[int, Field(gt=0)]
SMALLEST_WIDTH = 4
"""Sinusoidal positions take two rates, a sine and a cosine each."""


class TransformerConfig(Frozen):
    """Size of the paper's decoder-only transformer."""

    layers: Positive
    """Blocks of self-attention and a two-layer network."""
    width: Positive
    """Dimension of a token's embedding: even, and a multiple of ``heads``."""
    heads: Positive
    """Attention heads of each layer."""
    hidden: Positive
    """Hidden units of each layer's two-layer network."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of activations that are set to 0 in training, at random."""
    attention_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of attention weights that are set to 0 in training, at random."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> TransformerConfig:
        if self.width % self.heads or self.width % 2:
            raise ValueError(
                f"width {self.width} must be even and a multiple of heads {self.heads}"
            )
        return self

    def scaled(self, scale: float) -> TransformerConfig:
        """``scale`` times as many layers, dimensions and hidden units, as many heads, no dropout.

        Rounded to what is valid, at least one layer and the smallest width.
        """
        unit = math.lcm(self.heads, 2)
        fewest = math.ceil(SMALLEST_WIDTH / unit)
        return TransformerConfig(
            layers=max(1, round(scale * self.layers)),
            width=unit * max(fewest, round(scale * self.width / unit)),
            heads=self.heads,
            hidden=max(1, round(scale * self.hidden)),
        )

    @model_serializer(mode="wrap")
    def _without_no_attention_dropout(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys of runs of models without it do not depend on it."""
        content: dict[str, Any] = dump(self)
        if not self.attention_dropout:
            content.pop("attention_dropout", None)
        return content


class LoraConfig(Frozen):
    """Low-rank adapters, of which alone a Hugging Face model is then made (arXiv 2106.09685).

    ``W + alpha / rank * B A`` in place of ``W``, with ``W`` fixed, ``A`` drawn and ``B`` zero.
    """

    rank: Positive = 8
    """Rows of ``A`` and columns of ``B``."""
    alpha: Positive = 16
    """What adapters are multiplied with, over ``rank``."""
    targets: tuple[str, ...] = ()
    """Last parts of the names of the matrices that get adapters, such as ``q_proj``; none: all of
    the layers, but not the head.
    """


PRESETS = {
    "mini": TransformerConfig(layers=2, width=64, heads=4, hidden=256),
    "small": TransformerConfig(layers=4, width=128, heads=4, hidden=512),
    "paper": TransformerConfig(
        layers=12, width=256, heads=8, hidden=1024, dropout=0.1, attention_dropout=0.1
    ),
}


class ModelConfig(Frozen):
    """One main model of a study: exactly one of the five ways of naming it.

    ``preset``: a size of the paper's transformer (``mini``, ``small``, ``paper``), or of the
    task's own model; ``transformer``: the transformer at any size, with an encoder as deep in
    translation; ``huggingface``: a model of the task (a causal language model) by hub id or local
    folder, with its weights; ``huggingface_config``: such a model from scratch (``model_type`` and
    its options); ``network``: a network of the task's own, by its options (of images only).
    """

    preset: str | None = None
    transformer: TransformerConfig | None = None
    huggingface: str | None = None
    huggingface_config: dict[str, Any] | None = None
    network: dict[str, Any] | None = None
    files: str = ""
    """Digest of a local checkpoint's files, or ``commit:`` and the commit of one of the hub; filled
    in when a study is run.
    """
    lora: LoraConfig | None = None
    """Train adapters of a Hugging Face model in place of its weights; None: all weights."""

    @property
    def checkpoint(self) -> str:
        """Folder of the checkpoint, or its name on the hub with the commit that is known."""
        return pinned(self.huggingface or "", self.files)

    @model_validator(mode="after")
    def _exactly_one(self) -> ModelConfig:
        ways = [name for name in type(self).model_fields if name not in ("files", "lora")]
        if sum(getattr(self, name) is not None for name in ways) != 1:
            raise ValueError(f"give exactly one of {', '.join(ways)}")
        if self.lora is not None and not (self.huggingface or self.huggingface_config):
            raise ValueError(
                "lora goes with huggingface or huggingface_config: leave it out, all weights of "
                "our own transformer are trained"
            )
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(str(unknown("preset", self.preset, PRESETS)))
        if self.huggingface_config is not None and "model_type" not in self.huggingface_config:
            raise ValueError(
                "huggingface_config needs a model_type, such as gpt2 or llama, beside its options"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_used(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys of runs of other models do not depend on a field that they do not use."""
        content: dict[str, Any] = dump(self)
        unused = {
            "files": not self.files,
            "lora": self.lora is None,
            "network": self.network is None,
        }
        return {name: value for name, value in content.items() if not unused.get(name)}
