"""Gradients of rows from shared passes equal those of a pass each, to rounding in float64."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.models.batch import Batch
from benchmark.models.config import TransformerConfig
from benchmark.models.influence import gradient, hessian_product, influence, parameters_of
from benchmark.models.losses import per_example_loss, token_share
from benchmark.models.optimisation import build_optimizer, update
from benchmark.models.recording import NotRecordableError, Recording
from benchmark.models.row_gradients import RowGradients, parameters_in
from benchmark.models.transformer import Transformer
from benchmark.models.whole_gradients import flattened

LENGTH = 12
CLOSE = {"rtol": 1e-12, "atol": 1e-14}


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def transformer(dropout: float = 0.0) -> Transformer:
    config = TransformerConfig(layers=2, width=16, heads=2, hidden=32, dropout=dropout)
    model = Transformer(config, 30, LENGTH)
    model.initialise(torch.Generator().manual_seed(0))
    for value in model.parameters():
        # Fresh biases and norms are zeros and ones, under which mistakes may hide.
        value.data += 0.1 * torch.randn(
            value.shape, generator=torch.Generator().manual_seed(value.numel())
        )
    return model


class Foreign(nn.Module):
    """A model that says nothing of its operations."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = transformer()

    def forward(self, rows: Tensor) -> Tensor:
        losses: Tensor = self.inner(rows)
        return losses


@pytest.fixture(params=["ours", "foreign"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    return transformer() if request.param == "ours" else Foreign()


def rows_of(count: int = 5) -> Tensor:
    """Rows of several lengths, the last of them empty."""
    rows = torch.randint(1, 30, (count, LENGTH), generator=torch.Generator().manual_seed(1))
    for place in range(count):
        rows[place, LENGTH - 3 * place :] = 0 if place else rows[place, LENGTH - 3 * place :]
    rows[-1] = 0
    return rows


def direction_of(model: nn.Module, seed: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(value.shape, generator=generator)
        for name, value in parameters_of(model).items()
    }


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, msg=name, **CLOSE)


def test_shared_pass(model: nn.Module) -> None:
    rows, u = rows_of(), direction_of(model)
    weights = torch.tensor([0.5, 0.0, 2.0, 1e-30, 1.0])
    gradients = RowGradients(model, rows)
    assert_same(gradients.combined(weights), gradient(model, rows, weights)[1])
    torch.testing.assert_close(gradients.along(u), influence(model, rows, u), **CLOSE)
    torch.testing.assert_close(gradients.losses, per_example_loss(model, rows).detach(), **CLOSE)


@pytest.mark.parametrize("chunk", [1, 500, 2**24])
@pytest.mark.parametrize("part", ["", "norm", "embedding", "blocks.1.mlp_in.bias"])
def test_products(model: nn.Module, part: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows' gradients that are taken one by one; the embedding is used twice."""
    monkeypatch.setattr("benchmark.models.row_gradients.CHUNK_FLOATS", chunk)
    rows = rows_of()
    names = [name for name in parameters_of(model) if name.removeprefix("inner.").startswith(part)]
    alone = [gradient(model, row[None], torch.ones(1), names=names)[1] for row in rows]
    each = torch.stack([flattened(found) for found in alone])
    gradients = RowGradients(model, rows, names)
    torch.testing.assert_close(gradients.products(), each @ each.T, **CLOSE)
    u = {name: value for name, value in direction_of(model).items() if name in names}
    if not isinstance(model, Foreign):
        torch.testing.assert_close(gradients.along(u), each @ flattened(u), **CLOSE)


def test_curvature_and_what_its_pass_leaves(model: nn.Module) -> None:
    rows, u = rows_of(), direction_of(model)
    weights = token_share(rows)
    gradients = RowGradients(model, rows)
    wanted = hessian_product(model, rows, weights, u)
    scale = max(float(value.abs().max()) for value in wanted.values())
    for name, value in gradients.curvature(weights, u).items():
        torch.testing.assert_close(value, wanted[name], rtol=0, atol=1e-12 * scale, msg=name)
    other = direction_of(model, 3)
    torch.testing.assert_close(gradients.along(other), influence(model, rows, other), **CLOSE)
    assert_same(gradients.combined(weights), gradient(model, rows, weights)[1])


def test_parts(model: nn.Module) -> None:
    rows = rows_of()
    names = [name for name in parameters_of(model) if "blocks.1" in name]
    u = {name: value for name, value in direction_of(model).items() if name in names}
    weights = token_share(rows)
    gradients = RowGradients(model, rows, names)
    whole = gradient(model, rows, weights)[1]
    assert_same(gradients.combined(weights), {name: whole[name] for name in names})
    everywhere = {name: u.get(name, torch.zeros_like(v)) for name, v in whole.items()}
    torch.testing.assert_close(gradients.along(u), influence(model, rows, everywhere), **CLOSE)
    bent = hessian_product(model, rows, weights, everywhere)
    again = RowGradients(model, rows, names).curvature(weights, u)
    for name in names:
        torch.testing.assert_close(again[name], bent[name], rtol=1e-9, atol=1e-12)


def test_parts_of_a_model() -> None:
    model = transformer()
    assert parameters_in(model, ()) == tuple(parameters_of(model))
    assert parameters_in(model, ("norm", "blocks.1.mlp_in")) == (
        "blocks.1.mlp_in.weight",
        "blocks.1.mlp_in.bias",
        "norm.weight",
        "norm.bias",
    )
    # "block" begins the name of a module, but is none.
    with pytest.raises(UserError, match=r"parts: unknown part 'block'.*blocks\.1"):
        parameters_in(model, ("block",))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_update_keeps_the_gradients_that_it_took(dropout: float) -> None:
    model = transformer(dropout)
    rows, u = rows_of(), direction_of(model)
    names = parameters_in(model, ())
    before = RowGradients(model, rows).along(u)
    batch = Batch(rows, np.zeros(len(rows)), keep=names)
    torch.manual_seed(0)
    kept = update(model, build_optimizer(list(model.parameters())), batch, 0.1)
    assert kept.gradients is not None
    assert_same(
        kept.gradients.combined(token_share(rows)),
        {name: value.grad for name, value in model.named_parameters() if value.grad is not None},
    )
    if dropout == 0:
        torch.testing.assert_close(kept.gradients.along(u), before, **CLOSE)
        torch.testing.assert_close(token_share(rows) @ kept.losses, torch.tensor(kept.loss))
    else:
        assert (kept.gradients.along(u) - before).abs().max() > 1e-3


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_known_gradients_spare_an_update_its_passes(dropout: float) -> None:
    """But not where it would drop activations out."""
    rows = rows_of()
    made = []
    for known in (False, True):
        model = transformer(dropout)
        gradients = RowGradients(model, rows)
        gradients.along(direction_of(model))
        batch = Batch(rows, np.zeros(len(rows)), gradients=gradients if known else None)
        passes = Counter[str]()
        model.register_forward_pre_hook(lambda *_, passes=passes: passes.update(["forward"]))
        torch.manual_seed(0)
        result = update(model, build_optimizer(list(model.parameters())), batch, 0.1)
        assert passes["forward"] == (0 if known and dropout == 0 else 1)
        made.append((parameters_of(model), result))
    (plain, first), (spared, second) = made
    assert_same(spared, plain)
    assert first.loss == pytest.approx(second.loss, rel=1e-12)
    torch.testing.assert_close(first.losses, second.losses, **CLOSE)


def test_keeping_changes_no_bit_of_an_update() -> None:
    weights = []
    for keep in (None, ("norm.weight",)):
        model = transformer(0.5)
        torch.manual_seed(0)
        batch = Batch(rows_of(), np.zeros(5), keep=keep)
        update(model, build_optimizer(list(model.parameters())), batch, 0.1)
        weights.append(parameters_of(model))
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name])


class Mixing(nn.Module):
    def __init__(self, use: str) -> None:
        super().__init__()
        self.table = nn.Embedding(30, 4)
        self.bend = nn.Parameter(torch.ones(4))
        self.use = use

    def forward(self, rows: Tensor) -> Tensor:
        x = self.table(rows.flatten() if self.use == "flattened" else rows)
        losses: Tensor = (x * self.bend.exp() if self.use == "bent" else x).sum(-1)
        return losses


@pytest.mark.parametrize(("use", "message"), [("flattened", "apart"), ("bent", "linear")])
def test_what_cannot_be_told_from_operations_is_refused(use: str, message: str) -> None:
    model, rows = Mixing(use), rows_of()
    with (
        pytest.raises(NotRecordableError, match=message),
        Recording(dict(model.named_parameters()), rows),
    ):
        model(rows)
