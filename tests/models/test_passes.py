"""Passes in pieces and in bfloat16: what they give against whole ones, and ones in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.models.batch import Batch
from benchmark.models.config import TransformerConfig
from benchmark.models.drawn import drawn
from benchmark.models.evaluation import mean_token_loss
from benchmark.models.huggingface import HuggingFaceModel
from benchmark.models.influence import (
    dot,
    gradient,
    hessian_by_differences,
    hessian_product,
    influence,
    influence_by_differences,
    parameters_of,
)
from benchmark.models.losses import per_example_loss, token_share
from benchmark.models.optimisation import build_optimizer, update
from benchmark.models.passes import passes_of, scan_parts_of, set_passes
from benchmark.models.protocol import PassConfig
from benchmark.models.row_gradients import RowGradients
from benchmark.models.transformer import Transformer
from benchmark.models.whole_gradients import flat_row_gradients
from tests.baselines.tasks import MakeTask

Answers = dict[str, Tensor]


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def ours() -> nn.Module:
    made = Transformer(TransformerConfig(layers=2, width=32, heads=4, hidden=64), 64, 24)
    made.initialise(torch.Generator().manual_seed(0))
    return made


def llama() -> nn.Module:
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    model = drawn({"model_type": "llama", **size, **heads}, 64, 0)
    return HuggingFaceModel(model, 0, 0)


MODELS = pytest.mark.parametrize("make", [ours, llama])


def token_rows(count: int = 12) -> Tensor:
    rows = torch.randint(1, 64, (count, 24), generator=torch.Generator().manual_seed(3))
    rows[1, 9:] = 0
    return rows


def answers(model: nn.Module, u: Answers | None = None) -> Answers:
    """All that methods ask of a model's derivatives, along ``u``, by default its mean gradient."""
    rows = token_rows()
    weights, shares = torch.linspace(0.5, 1.5, len(rows)), token_share(rows)
    u = u or gradient(model, rows, shares)[1]
    each = RowGradients(model, rows)
    flat = lambda found: torch.cat([value.flatten() for value in found.values()])  # noqa: E731
    return {
        "gradient": flat(gradient(model, rows, weights)[1]),
        "influence": influence(model, rows, u),
        "Hessian product": flat(hessian_product(model, rows, weights, u)),
        "rows: gradient": flat(each.combined(weights)),
        "rows: influence": each.along(u),
        "rows: curvature": flat(RowGradients(model, rows).curvature(weights, u)),
        "rows: losses": each.losses,
        "whole gradients": flat_row_gradients(model, rows)[0].flatten(),
    }


def errors(found: Answers, true: Answers) -> dict[str, float]:
    return {
        name: float((found[name].double() - true[name].double()).norm() / true[name].norm())
        for name in true
    }


@MODELS
@pytest.mark.parametrize("size", [1, 4, 5])
@pytest.mark.usefixtures("double")
def test_pieces_add_up_to_the_whole(make: Callable[[], nn.Module], size: int) -> None:
    model = make()
    whole = answers(model)
    set_passes(model, PassConfig(micro_batch=size))
    assert max(errors(answers(model), whole).values()) < 1e-12


@MODELS
@pytest.mark.usefixtures("double")
def test_an_update_in_pieces_is_that_of_the_whole_batch(make: Callable[[], nn.Module]) -> None:
    batch = Batch(token_rows(), torch.arange(12).numpy(), torch.linspace(0, 1, 12))
    after = []
    for size in (None, 3):
        model = make()
        set_passes(model, PassConfig(micro_batch=size))
        optimizer = build_optimizer(model.parameters())
        made = [update(model, optimizer, batch, 0.01) for _ in range(3)]
        after.append((parameters_of(model), made))
    (whole, first), (split, second) = after
    for name in whole:
        torch.testing.assert_close(whole[name], split[name], rtol=0, atol=1e-12)
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one.losses, other.losses, rtol=0, atol=1e-12)
        assert abs(one.loss - other.loss) < 1e-12


def test_no_pass_has_more_rows_than_a_micro_batch(corpora_tasks: MakeTask) -> None:
    from benchmark.api import score

    task = corpora_tasks()
    set_passes(task.model, PassConfig(micro_batch=2))
    seen: list[int] = []
    handle = task.model.register_forward_hook(lambda _, rows, __: seen.append(len(rows[0])))
    batch = task.generic_batch(0)
    update(task.model, build_optimizer(task.model.parameters()), batch, 0.1)
    gradient(task.model, batch.rows, token_share(batch.rows))
    score(task.model, batch.rows)
    mean_token_loss(task.model, task.generic)
    handle.remove()
    assert max(seen) == 2


def test_what_keeps_gradients_of_rows_needs_a_whole_batch() -> None:
    model = ours()
    set_passes(model, PassConfig(micro_batch=4))
    batch = Batch(token_rows(), torch.arange(12).numpy(), keep=tuple(parameters_of(model)))
    with pytest.raises(UserError, match="set from_update to false"):
        update(model, build_optimizer(model.parameters()), batch, 0.1)


BF16 = {
    "gradient": 0.06,
    "influence": 0.02,
    "Hessian product": 0.06,
    "rows: gradient": 0.06,
    "rows: influence": 0.02,
    "rows: curvature": 0.06,
    "rows: losses": 0.002,
    "whole gradients": 0.1,
}
"""Relative errors against float64 that bfloat16, of 8 bits, may have."""


@MODELS
def test_bfloat16_errs_by_its_rounding_and_no_more(
    make: Callable[[], nn.Module], record_property: Callable[[str, Any], None]
) -> None:
    model = make()
    torch.set_default_dtype(torch.float64)
    try:
        exact = make()
        with torch.no_grad():
            for name, value in exact.named_parameters():
                value.copy_(model.get_parameter(name))
        u = gradient(exact, token_rows(), token_share(token_rows()))[1]
        true = answers(exact, u)
    finally:
        torch.set_default_dtype(torch.float32)
    along = {name: value.float() for name, value in u.items()}
    single = errors(answers(model, along), true)
    set_passes(model, PassConfig(precision="bf16"))
    half = errors(answers(model, along), true)
    for name, most in BF16.items():
        record_property(name, half[name])
        assert single[name] < min(1e-4, half[name]), name
        assert 1e-6 < half[name] < most, name


def test_under_bfloat16_weights_gradients_and_answers_stay_in_float32() -> None:
    model = ours()
    set_passes(model, PassConfig(precision="bf16"))
    seen: list[torch.dtype] = []
    layer = model.get_submodule("blocks.0.mlp_in")
    layer.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    update(
        model,
        build_optimizer(model.parameters()),
        Batch(token_rows(), torch.arange(12).numpy()),
        0.1,
    )
    assert seen == [torch.bfloat16]
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert {value.grad.dtype for value in model.parameters() if value.grad is not None} == {
        torch.float32
    }
    assert {value.dtype for value in answers(model).values()} == {torch.float32}


def test_differences_are_taken_in_float32() -> None:
    model = llama()
    rows, weights = token_rows(), torch.ones(12) / 12
    u = gradient(model, rows, weights)[1]
    exact = influence(model, rows, u), hessian_product(model, rows, weights, u)
    set_passes(model, PassConfig(precision="bf16"))
    found = influence_by_differences(model, rows, u)
    assert (found - exact[0]).norm() < 0.01 * exact[0].norm()
    moved = hessian_by_differences(model, rows, weights, u)
    gap = {name: moved[name] - exact[1][name] for name in moved}
    assert dot(gap, gap) < 0.05**2 * dot(moved, moved)
    assert passes_of(model).precision == "bf16", "told again afterwards"


def test_a_device_without_bfloat16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "GeForce GTX 1080")
    said = r"training.precision: bf16 is not known to this cuda device \(GeForce GTX 1080\): set"
    with pytest.raises(UserError, match=said):
        set_passes(ours(), PassConfig(precision="bf16"), "cuda")


def test_activations_are_computed_twice_where_they_are_not_kept() -> None:
    plain, lean = llama(), llama()
    set_passes(lean, PassConfig(activation_checkpointing=True))
    calls = []
    batch = Batch(token_rows(), torch.arange(12).numpy())
    for model in (plain, lean):
        model.train()
        seen: list[int] = []
        model.get_submodule("model.model.layers.0.mlp").register_forward_pre_hook(
            lambda *_, seen=seen: seen.append(1)
        )
        update(model, build_optimizer(model.parameters()), batch, 0.01)
        calls.append(len(seen))
    assert calls == [1, 2]
    for name, value in parameters_of(plain).items():
        torch.testing.assert_close(value, parameters_of(lean)[name], rtol=0, atol=1e-6)
    with pytest.raises(UserError, match="only models of Hugging Face"):
        set_passes(ours(), PassConfig(activation_checkpointing=True))


def test_a_compiled_pass_gives_the_same_losses() -> None:
    model = ours()
    rows = token_rows()
    compiled = torch.compile(model, backend="aot_eager")
    torch.testing.assert_close(per_example_loss(compiled, rows), per_example_loss(model, rows))


def test_scans_are_made_in_pieces_of_a_few_thousand_tokens() -> None:
    model = nn.Linear(1, 1)

    def sizes(count: int, width: int) -> list[int]:
        rows = torch.arange(count)[:, None].expand(-1, width)
        return [len(rows[part]) for part in scan_parts_of(model, rows)]

    assert sizes(100, 64) == [64, 36]
    assert sizes(20, 256) == [16, 4]
    assert sizes(2, 10_000) == [1, 1]
    set_passes(model, PassConfig(micro_batch=4))
    assert sizes(6, 64) == [4, 2]
