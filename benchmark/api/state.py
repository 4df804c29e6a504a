"""What of a method must survive a restart, kept and restored as the method declares it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.api.baseline import Baseline
from benchmark.core.errors import UserError


def state_of(method: Baseline) -> dict[str, Any]:
    """The attributes that the method names in ``state``, as a tree that a checkpoint can hold.

    What has a ``state_dict`` (modules, optimisers) is kept by it, arrays as tensors. An attribute
    that is None, or a `functools.cached_property` not asked for yet, is left out.

    Raises:
        UserError: the method has no such attribute.
    """
    for name in method.state:
        if not hasattr(type(method), name) and name not in vars(method):
            raise UserError(
                f"{method.name}: state names {name!r}, and the method has no such attribute: set "
                "it in __init__, or correct the name"
            )
    found = {name: vars(method).get(name) for name in method.state}
    return {name: _kept(value) for name, value in found.items() if value is not None}


def restore(method: Baseline, state: Mapping[str, Any], at: str = "") -> None:
    """Go on exactly where :func:`state_of` was taken; what it left out stays as it is.

    ``at`` says where the state is from, for an error.

    Raises:
        UserError: the state holds what the method does not declare.
    """
    unknown = sorted(state.keys() - set(method.state))
    if unknown:
        raise UserError(
            f"{at}{method.name}: the checkpoint holds {', '.join(unknown)}, which is not in the "
            f"method's state ({', '.join(method.state) or 'nothing'}): it is from another version "
            "of the method; remove the file"
        )
    for name, kept in state.items():
        setattr(method, name, _restored(getattr(method, name), kept))


def _kept(value: Any) -> Any:
    if hasattr(value, "state_dict"):
        return value.state_dict()
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, Mapping):
        return {key: _kept(inner) for key, inner in value.items()}
    return value


def _restored(current: Any, kept: Any) -> Any:
    """``kept`` in the form of ``current``; modules, optimisers and parameters stay themselves."""
    if hasattr(current, "load_state_dict"):
        current.load_state_dict(kept)
        return current
    if isinstance(current, nn.Parameter):
        with torch.no_grad():
            current.copy_(kept)
        return current
    if isinstance(current, np.ndarray):
        return kept.cpu().numpy()
    if isinstance(current, Mapping):
        return {key: _restored(current.get(key), value) for key, value in kept.items()}
    return kept
