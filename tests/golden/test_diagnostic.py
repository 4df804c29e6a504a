"""The diagnostic's alignments against the reference's dumps: float32, relative error under 1e-5."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.diagnostic.alignment import cosines, one_sided
from benchmark.diagnostic.fine_tuning import agreement
from benchmark.diagnostic.gradients import row_gradients
from benchmark.diagnostic.matrix import agreement_by_part, alignment_matrix
from benchmark.models.influence import gradient, parameters_of, step_along
from benchmark.models.transformer import Transformer
from tests.golden.reference import main_model, rows_of, tensor

Arrays = dict[str, np.ndarray]


def relative_error(ours: Tensor, theirs: np.ndarray) -> float:
    return float((ours - tensor(theirs)).norm() / tensor(theirs).norm())


@pytest.fixture
def model(single: Arrays) -> Transformer:
    return main_model(single, "main/")


@pytest.fixture
def generic(single: Arrays) -> Tensor:
    return rows_of(single["gen/labels"])


def target_gradient(single: Arrays, model: Transformer) -> Tensor:
    """Gradient of the target batch, ``[1, P]``."""
    target = rows_of(single["spec/labels"])
    return row_gradients(model, target).batch_means(len(target))


@pytest.mark.parametrize("source", ["", "_A_vs_B"])
def test_one_sided_alignment_is_the_reference_gradient_cosine(
    single: Arrays, model: Transformer, generic: Tensor, source: str
) -> None:
    at = main_model(single, "mainB/") if source else model
    s, rows = target_gradient(single, at), row_gradients(model, generic)
    ours = one_sided(s @ rows.values.T, rows.shares, s.norm(dim=1))[0]
    assert relative_error(ours, single[f"diag/gradient_cosine{source}"]) < 1e-5


@pytest.mark.parametrize("source", ["", "_A_vs_B"])
def test_the_reference_matrix_is_made_of_the_reference_gradient_cosines(
    single: Arrays, model: Transformer, generic: Tensor, source: str
) -> None:
    """Rows at A, directions at A or at B: one entry of the matrix for each dumped number."""
    at = main_model(single, "mainB/") if source else model
    ours = alignment_matrix(target_gradient(single, at), row_gradients(model, generic))[0]
    theirs = single[f"diag/gradient_cosine{source}"]
    assert relative_error(tensor(ours), theirs) < 1e-5


def test_the_reference_matrix_has_the_reference_displacement(
    single: Arrays, model: Transformer, generic: Tensor
) -> None:
    after = parameters_of(main_model(single, "mainB/"))
    displacement = step_along(after, parameters_of(model), -1.0)
    found = agreement_by_part(model, row_gradients(model, generic), displacement, ())
    theirs = single["diag/dot_prod_with_delta_params"]
    assert relative_error(tensor(found["all"]), theirs) < 1e-5


def test_cosines_are_the_reference_true_ones(
    single: Arrays, model: Transformer, generic: Tensor
) -> None:
    s, rows = target_gradient(single, model), row_gradients(model, generic)
    ours = cosines(s @ rows.values.T, rows.norms(), s.norm(dim=1))[0]
    # The reference adds 1e-6 to the product of norms, with the row's share in its gradient.
    scale = rows.shares * rows.norms() * s.norm()
    theirs = single["diag/oom_gradient_cosine"]
    assert relative_error(ours * scale / (scale + 1e-6), theirs) < 1e-5


def test_agreement_with_a_displacement(single: Arrays, model: Transformer, generic: Tensor) -> None:
    after = parameters_of(main_model(single, "mainB/"))
    displacement = step_along(after, parameters_of(model), -1.0)
    found = agreement(model, generic, displacement, "reference")
    assert found.mode == "forward mode"
    ours = tensor(found.agreement) / len(generic)
    assert relative_error(ours, single["diag/dot_prod_with_delta_params"]) < 1e-5


def test_row_gradients_are_those_of_single_rows(model: Transformer, generic: Tensor) -> None:
    ours = row_gradients(model, generic)
    assert ours.how == "vmap"
    for row, found in zip(generic, ours.values, strict=True):
        _, alone = gradient(model, row[None], torch.ones(1))
        flat = torch.cat([value.flatten() for value in alone.values()])
        torch.testing.assert_close(found, flat, rtol=1e-4, atol=1e-6)
