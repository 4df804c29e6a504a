"""The reference alignment matrix of a tiny real model, and its figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.core.errors import UserError
from benchmark.data import PreparedData
from benchmark.diagnostic.gradients import row_gradients
from benchmark.diagnostic.matrix import (
    KINDS,
    agreement_by_part,
    hold,
    probe_halves,
    reference_matrix,
    top_parts,
)
from benchmark.diagnostic.probe import Probe, draw_probe
from benchmark.diagnostic.settings import Settings
from benchmark.models.influence import dot, gradient, parameters_of
from benchmark.models.losses import token_share


@pytest.fixture
def probe(data: PreparedData, settings: Settings) -> Probe:
    return draw_probe(data, settings, 0, "cpu")


def test_entries_are_inner_products_with_unit_batch_gradients(
    model: nn.Module, probe: Probe
) -> None:
    split = probe_halves(probe, 0)
    rows = {"target": probe.target, "generic": probe.generic}
    held = hold("end", {k: row_gradients(model, each) for k, each in rows.items()}, split, 8)
    matrix = reference_matrix([held], split, 8, {kind: {} for kind in KINDS})
    (pair,) = matrix.pairs
    assert (pair.rows_at, pair.directions_at) == ("end", "end")
    batch = probe.target[split["target"].first[8:16]]
    held_out = probe.generic[split["generic"].second]
    _, direction = gradient(model, batch, token_share(batch))
    shares = token_share(held_out)
    for number in (0, 5):
        _, own = gradient(model, held_out[number, None], torch.ones(1))
        expected = shares[number] * dot(own, direction) / dot(direction, direction).sqrt()
        assert pair.values["target"]["generic"][1][number] == pytest.approx(
            float(expected), rel=1e-3, abs=1e-7
        )
    assert len(pair.values["generic"]["target"][0]) == len(split["target"].second)


def test_target_rows_lie_along_target_directions(model: nn.Module, probe: Probe) -> None:
    split = probe_halves(probe, 0)
    found = {"target": row_gradients(model, probe.target)}
    found["generic"] = row_gradients(model, probe.generic)
    early, late = (hold(label, found, split, 8) for label in ("a", "b"))
    matrix = reference_matrix([early, late], split, 8, {kind: {} for kind in KINDS})
    places = [(pair.rows_at, pair.directions_at) for pair in matrix.pairs]
    assert places == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
    values = matrix.pairs[1].values["target"]
    assert np.mean(values["target"]) > np.mean(values["generic"])


def test_parts_of_the_displacement(model: nn.Module, probe: Probe) -> None:
    rows = row_gradients(model, probe.generic[:6])
    start = parameters_of(model)
    displacement = {name: torch.randn_like(value) for name, value in start.items()}
    found = agreement_by_part(model, rows, displacement, top_parts(model))
    assert list(found) == ["all", *top_parts(model)]
    first = next(iter(start)).split(".")[0]
    only = {
        name: value if name.split(".")[0] == first else torch.zeros_like(value)
        for name, value in displacement.items()
    }
    alone = agreement_by_part(model, rows, only, (first,))
    assert found[first] == pytest.approx(alone["all"], rel=1e-4)
    # Parts add up to the whole, each in units of its own length.
    total = sum(found[part] * _length(displacement, part) for part in top_parts(model))
    assert total == pytest.approx(found["all"] * _length(displacement, ""), rel=1e-3, abs=1e-6)
    with pytest.raises(UserError, match="parts: unknown part 'bloks'"):
        agreement_by_part(model, rows, displacement, ("bloks",))


def _length(direction: dict[str, torch.Tensor], part: str) -> float:
    squares = [float((v**2).sum()) for name, v in direction.items() if name.startswith(part)]
    return float(np.sqrt(sum(squares)))


def test_a_probe_of_one_document_says_so(probe: Probe) -> None:
    alone = replace(probe, target_documents=np.zeros_like(probe.target_documents))
    split = probe_halves(alone, 0)
    assert not split["target"].by_document
    assert split["generic"].by_document
    assert not set(split["target"].first) & set(split["target"].second)
