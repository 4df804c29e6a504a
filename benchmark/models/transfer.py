"""Numbers on their way from and to a device, of which nobody waits for the device's other work."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


class Later:
    """A number that a device is still computing; it is on its way here from the beginning.

    Whoever reads it after giving the device more work waits for the number alone.
    """

    def __init__(self, value: Tensor) -> None:
        self._arrived: torch.cuda.Event | None = None
        self._here = value.detach()
        if value.is_cuda:
            self._here = torch.empty((), dtype=value.dtype, pin_memory=True)
            self._here.copy_(value.detach(), non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def read(self) -> float:
        """The number, waited for."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return float(self._here)


def sent(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """``values`` on the device, by a copy that nobody waits for."""
    here = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    if device.type != "cuda":
        return here.to(device)
    return (here if here.is_pinned() else here.pin_memory()).to(device, non_blocking=True)


def read_all(values: Mapping[str, float | Tensor]) -> dict[str, float]:
    """The numbers by name, those of a device fetched together."""
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    read = {}
    if tensors:
        together = torch.stack([value.detach().double() for value in tensors.values()])
        read = dict(zip(tensors, together.tolist(), strict=True))
    return {name: read[name] if name in read else float(value) for name, value in values.items()}
