"""How every model of a study is trained: validated settings, importable without torch."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from benchmark.core.frozen import Frozen

Schedule = Literal["inverse_sqrt", "constant", "cosine", "wsd"]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

FALLING = {"cosine": ("final_share",), "wsd": ("final_share", "decay_share")}
"""Keys that a schedule has besides those of all."""


def inverse_square_root(step: int, peak: float, warmup: int) -> float:
    """The paper's rate: linear from 0 at step 0 to ``peak``, then falling with 1 / sqrt(step)."""
    return peak * step / warmup if step < warmup else peak * math.sqrt(warmup / step)


def warmed_up(step: int, peak: float, warmup: int) -> float:
    """The fine-tuning rate: linear over ``warmup`` steps to a constant ``peak``."""
    return peak * min(1.0, (step + 1) / warmup)


class Omitting(Frozen):
    """Settings of which those named in ``omitted`` are left out where they have their default.

    Keys of runs that do not use them do not depend on them.
    """

    omitted: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = dump(self)
        usual = {
            name
            for name in self.omitted
            if getattr(self, name) == type(self).model_fields[name].default
        }
        return {name: value for name, value in content.items() if name not in usual}


class PassConfig(Omitting):
    """How passes over the main model are made: their precision, and what they hold at a time."""

    precision: Literal["float32", "bf16"] = "float32"
    """``bf16``: matrix products in bfloat16 (autocast), weights, sums and optimiser in float32."""
    micro_batch: Annotated[int, Field(gt=0)] | None = None
    """Rows of a process in one pass of update, influence, scoring or evaluation, the results added
    up; it divides ``batch``. None: the whole batch.
    """
    compile: bool = False
    """Compile the pass of the main model's update (``torch.compile``)."""
    activation_checkpointing: bool = False
    """Keep no activations inside the layers of a Hugging Face model, and compute them twice."""

    omitted: ClassVar[frozenset[str]] = frozenset(
        ("precision", "micro_batch", "compile", "activation_checkpointing")
    )


PLAIN = PassConfig()
"""Whole batches in the default precision."""


class OptimiserConfig(Omitting):
    """AdamW and the course of its learning rate; the defaults are the paper's."""

    schedule: Schedule = "inverse_sqrt"
    """The learning rate after the warm-up: ``inverse_sqrt`` falls with the inverse square root of
    the step, ``constant`` stays, ``cosine`` falls along half a wave to the last step, ``wsd``
    stays and falls linearly over the last steps (warm-up, stable, decay; arXiv 2404.06395).
    """
    final_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """What ``cosine`` and ``wsd`` fall to when all steps are made, as a share of the peak."""
    decay_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Steps over which ``wsd`` falls, as a share of all."""
    betas: tuple[Momentum, Momentum] = (0.9, 0.98)
    """Decay rates of AdamW's running means of the gradient and of its square."""
    eps: Positive = 1e-9
    """What AdamW adds to the root of the second mean."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Decay of all weights, decoupled: times the learning rate, at each step."""
    clip_norm: Positive | None = None
    """Norm that gradients are scaled down to where theirs is greater; None: they are left."""

    omitted: ClassVar[frozenset[str]] = frozenset(
        (
            *("schedule", "final_share", "decay_share"),
            *("betas", "eps", "weight_decay", "clip_norm"),
        )
    )

    @model_validator(mode="after")
    def _keys_go_with_the_schedule(self) -> OptimiserConfig:
        for key in ("final_share", "decay_share"):
            users = [name for name, keys in FALLING.items() if key in keys]
            default = OptimiserConfig.model_fields[key].default
            if getattr(self, key) != default and self.schedule not in users:
                raise ValueError(
                    f"{key}: {getattr(self, key):g} goes with schedule {' or '.join(users)}, and "
                    f"schedule is {self.schedule}: set that or leave {key} out"
                )
        return self

    def falls_from(self, steps: int) -> int:
        """The first of ``steps`` at which ``wsd`` falls."""
        return steps - max(1, round(self.decay_share * steps))

    def rate_at(self, step: int, steps: int, peak: float, warmup: int) -> float:
        """Learning rate of one of ``steps``; it rises linearly from 0 over the first ``warmup``."""
        if step < warmup or self.schedule == "inverse_sqrt":
            return inverse_square_root(step, peak, warmup)
        if self.schedule == "cosine":
            gone = (step - warmup) / max(1, steps - warmup)
            return peak * self._left((1 + math.cos(math.pi * gone)) / 2)
        if self.schedule == "wsd" and step >= self.falls_from(steps):
            return peak * self._left((steps - step) / (steps - self.falls_from(steps)))
        return peak

    def _left(self, share: float) -> float:
        """From one down to ``final_share`` as ``share`` goes from one to zero."""
        return self.final_share + (1 - self.final_share) * share


PAPER = OptimiserConfig()
"""The optimiser of the published runs."""
