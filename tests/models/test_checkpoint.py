"""Checkpoints: any tree comes back to the bit, and no file is ever half-written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.errors import UserError
from benchmark.models.checkpoint import load_checkpoint, load_model_state, save_checkpoint

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(0, 99), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(tree=st.dictionaries(st.text(max_size=5), trees, max_size=4))
def test_trees_come_back(tree: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("tree") / "c.safetensors"
    save_checkpoint(file, tree)
    assert load_checkpoint(file) == tree


def test_optimizer_state_comes_back(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(3)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "c", {"optimizer": optimizer.state_dict()})
    restored = load_checkpoint(tmp_path / "c")["optimizer"]
    assert restored["param_groups"] == optimizer.state_dict()["param_groups"]
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            assert torch.equal(restored["state"][index][name], value)


def test_what_is_not_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        save_checkpoint(tmp_path / "c", {"x": {1, 2}})
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "c.safetensors"
    save_checkpoint(file, {"x": torch.ones(100)})
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"c\.safetensors: not a readable checkpoint"):
        load_checkpoint(file)


def test_failing_to_write_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "c.safetensors"
    save_checkpoint(file, {"x": 1})
    with pytest.raises(TypeError):
        save_checkpoint(file, {"x": object()})
    assert load_checkpoint(file) == {"x": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_another_architecture_is_refused() -> None:
    with pytest.raises(UserError, match="another architecture"):
        load_model_state(torch.nn.Linear(2, 2), {"weight": torch.ones(2, 2)})
