"""Exact, atomic checkpoints: one safetensors file whose header carries the rest as JSON.

No pickle is involved. A checkpoint is written aside and renamed, so the file is always whole.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.core.files import replaced

_TENSOR, _ITEMS, _TUPLE = "$tensor", "$items", "$tuple"


def save_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Write a tree of tensors, numbers, strings, lists, tuples and dicts.

    Raises:
        UserError: the folder cannot be written or its disk is full; the old file stays.
        TypeError: the tree holds something else.
    """
    tensors: dict[str, Tensor] = {}
    header = json.dumps(_split(state, tensors))
    try:
        with replaced(file) as temporary:
            save_file(tensors, temporary, metadata={"state": header})
    except SafetensorError as error:
        raise UserError(f"{file}: checkpoint cannot be written: {error}") from error


def load_checkpoint(file: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote, tensors on ``device``.

    Raises:
        UserError: the file is not such a checkpoint.
    """
    try:
        with safe_open(file, framework="pt", device=str(device)) as stream:
            header = (stream.metadata() or {})["state"]
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError) as error:
        raise UserError(f"{file}: not a readable checkpoint ({error}); remove it") from error
    state: dict[str, Any] = _join(json.loads(header), tensors)
    return state


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name, tied ones once."""
    return {name: value.detach() for name, value in model.named_parameters()}


@torch.no_grad()
def load_model_state(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Copy parameters into ``model``.

    Raises:
        UserError: the names or shapes are those of another architecture.
    """
    own = dict(model.named_parameters())
    same = own.keys() == state.keys() and all(own[k].shape == state[k].shape for k in own)
    if not same:
        different = sorted(own.keys() ^ state.keys())[:3] or "shapes"
        raise UserError(f"the checkpoint is of another architecture (differs in {different})")
    for name, value in own.items():
        value.copy_(state[name])


def weights_hash(model: nn.Module) -> str:
    """SHA-256 of all parameters, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(model.named_parameters()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _split(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """``tree`` with each tensor replaced by a reference into ``tensors``."""
    if isinstance(tree, Tensor):
        name = str(len(tensors))
        tensors[name] = tree.detach().contiguous().clone()
        return {_TENSOR: name}
    if isinstance(tree, dict):
        return {_ITEMS: [[_split(k, tensors), _split(v, tensors)] for k, v in tree.items()]}
    if isinstance(tree, tuple):
        return {_TUPLE: [_split(item, tensors) for item in tree]}
    if isinstance(tree, list):
        return [_split(item, tensors) for item in tree]
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"a checkpoint cannot hold a {type(tree).__name__}")


def _join(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_join(item, tensors) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if _TENSOR in tree:
        return tensors[tree[_TENSOR]]
    if _TUPLE in tree:
        return tuple(_join(item, tensors) for item in tree[_TUPLE])
    return {_join(k, tensors): _join(v, tensors) for k, v in tree[_ITEMS]}
