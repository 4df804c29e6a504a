"""How passes over a main model are made: in which precision, and over how many rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.models.protocol import PLAIN, PassConfig

SCANNED_ROWS = 512
"""Of one pass, on a card."""
SCANNED_TOKENS = 2**12
"""Of one pass, on a processor."""


def set_passes(model: nn.Module, config: PassConfig, device: str = "cpu") -> None:
    """Have all passes over ``model`` made as ``config`` says.

    Raises:
        UserError: the device or the model cannot.
    """
    if config.precision == "bf16" and not has_bf16(device):
        raise UserError(
            f"training.precision: bf16 is not known to this {device} device "
            f"({torch.cuda.get_device_name()}): set precision to float32"
        )
    if config.activation_checkpointing:
        begin: Callable[[], None] | None = getattr(model, "checkpoint_activations", None)
        if begin is None:
            raise UserError(
                "training.activation_checkpointing: only models of Hugging Face have it: leave it "
                "out, and lower training.micro_batch for less memory"
            )
        begin()
    model.passes = config  # type: ignore[assignment]


def has_bf16(device: str) -> bool:
    """Whether matrix products of bfloat16 are computed on ``device``, not imitated."""
    if not device.startswith("cuda"):
        return True
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def passes_of(model: nn.Module) -> PassConfig:
    """What :func:`set_passes` was told of ``model``, or of what it is a copy of."""
    found: PassConfig = getattr(model, "passes", PLAIN)
    return found


def rows_at_once(model: nn.Module, most: int) -> int:
    """Rows of one pass that would else be over ``most`` at a time."""
    return min(most, passes_of(model).micro_batch or most)


def parts_of(model: nn.Module, rows: Tensor) -> list[slice]:
    """The parts of ``rows`` ``[n, T]`` that one pass each is made over."""
    return _slices(len(rows), rows_at_once(model, max(1, len(rows))))


def scan_parts_of(model: nn.Module, rows: Tensor) -> list[slice]:
    """The same of passes without dropout, over any number of ``rows``.

    On a processor, what its caches hold: twice as fast there as 512 rows of 64 tokens, whose
    logits are memory that the system hands out anew at each pass.
    """
    most = SCANNED_ROWS if rows.is_cuda else max(1, SCANNED_TOKENS // rows.shape[1])
    return _slices(len(rows), rows_at_once(model, most))


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def added(parts: Iterable[Sequence[Tensor]]) -> list[Tensor]:
    """Sums of the tensors that the pieces gave, place by place."""
    total: list[Tensor] = []
    for part in parts:
        # Not in place: two of the tensors may be one.
        total = [a + b for a, b in zip(total, part, strict=True)] if total else list(part)
    return total


def in_precision(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A model's ``forward``, its products in the precision that the model was told."""

    @wraps(forward)
    def cast(self: nn.Module, rows: Tensor) -> Tensor:
        with _autocast(self, rows.device.type):
            return forward(self, rows)

    return cast


def in_full_precision(model: nn.Module) -> AbstractContextManager[Any]:
    """Inside, passes are not made in bfloat16: for differences that would drown in its rounding."""
    return _told(model, precision="float32")


class _told:  # noqa: N801 (a context manager)
    """Inside, the model is told other settings."""

    def __init__(self, model: nn.Module, **changes: Any) -> None:
        self._model, self._before = model, passes_of(model)
        self._now = self._before.model_copy(update=changes)

    def __enter__(self) -> None:
        self._model.passes = self._now  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        self._model.passes = self._before  # type: ignore[assignment]


def _autocast(model: nn.Module, device: str) -> AbstractContextManager[Any]:
    if passes_of(model).precision == "float32":
        return nullcontext()
    # Casts are not kept: parameters with tangents, or of many rows, are no leaves.
    return torch.autocast(device, torch.bfloat16, cache_enabled=False)
