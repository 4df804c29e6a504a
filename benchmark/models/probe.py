"""What a model that is not ours must show before anything is trained on it.

Its architecture and weights were made elsewhere, for other rows. Two made-up rows, short ones,
tell whether losses and derivatives are what the methods take them for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError, one_line
from benchmark.models.differences import GRADIENT_STEP
from benchmark.models.influence import (
    dot,
    gradient,
    hessian_by_differences,
    hessian_product,
    influence,
    influence_by_differences,
    parameters_of,
)
from benchmark.models.losses import per_example_loss

T = TypeVar("T")

LONGEST = 16
"""Tokens of a row of the probe; where positions are looked up, one pass has a row of full width."""

CURVED = 8
"""Tokens of a row for second derivatives, the most costly part where tokens are taken in turn."""

EXACT = 1e-3
"""Relative error of a forward-mode derivative beyond which it is not believed."""

APPROXIMATE = 0.05
"""The same of a central difference."""

LEAK = 1e-5
"""What later tokens may do to an earlier loss, relative to what they do to later ones: rounding."""


def probe(
    model: nn.Module, name: str, vocabulary_size: int, length: int
) -> tuple[tuple[str, ...], bool]:
    """The functions of `benchmark.models.influence` that need central differences on ``model``.

    And whether not even these give a Hessian product.

    Token 0 is padding, the others are below ``vocabulary_size``; rows are ``length`` tokens wide.

    Raises:
        UserError: weights or losses that are not finite or of another precision, a pass that
            fails, a loss that depends on later tokens, or no way to a right influence.
    """
    _check_weights(model, name)
    training = model.training
    model.eval()
    try:
        rows = _rows(vocabulary_size, length)
        _check_losses(model, name, rows)
        short = rows[:, :LONGEST]
        _check_causal(model, name, short, vocabulary_size)
        return _not_exact(model, name, short, short[:, :CURVED])
    finally:
        model.train(training)


def probe_rows(model: nn.Module, name: str, rows: Tensor) -> tuple[tuple[str, ...], bool]:
    """As :func:`probe`, on two rows ``[2, T]`` of any layout, without a word on causality.

    Raises:
        UserError: as of `probe`.
    """
    _check_weights(model, name)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            losses = _tried(name, lambda: per_example_loss(model, rows))
        _check_finite(name, losses)
        return _not_exact(model, name, rows, rows)
    finally:
        model.train(training)


def _rows(vocabulary_size: int, length: int) -> Tensor:
    """Two rows ``[2, length]``, the second padded; with the first and the last token there is."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(1, vocabulary_size, (2, length), generator=generator)
    rows[0, 0], rows[0, length // 2] = vocabulary_size - 1, 1
    rows[1, max(1, min(length, LONGEST) * 3 // 4) :] = 0
    return rows


def _check_weights(model: nn.Module, name: str) -> None:
    wanted = torch.get_default_dtype()
    for key, value in model.named_parameters():
        if value.dtype != wanted:
            raise UserError(
                f"{name}: weight {key} is {value.dtype}, which cannot be trained as {wanted}: "
                "give a checkpoint that is not quantised"
            )
        if not torch.isfinite(value).all():
            raise UserError(
                f"{name}: weight {key} holds values that are not finite: give a whole checkpoint"
            )


def _check_losses(model: nn.Module, name: str, rows: Tensor) -> None:
    with torch.no_grad():
        losses = _tried(name, lambda: per_example_loss(model, rows[:, :LONGEST]))
        if sum(isinstance(module, nn.Embedding) for module in model.modules()) > 1:
            _tried(name, lambda: model(rows[:1]))
    _check_finite(name, losses)


def _check_finite(name: str, losses: Tensor) -> None:
    if not torch.isfinite(losses).all():
        raise UserError(f"{name}: the loss of a row is not finite: give other weights or options")


def _check_causal(model: nn.Module, name: str, rows: Tensor, vocabulary_size: int) -> None:
    """No loss may depend on a later token, by its value or by its derivative.

    The value alone may hide in rounding, as models that are not trained attend to little.
    """
    half = rows.shape[1] // 2
    row = rows[:1]
    if half == 0:
        return
    changed = row.clone()
    changed[:, half:] = row[:, half:] % (vocabulary_size - 1) + 1
    with torch.no_grad():
        change = (model(row) - model(changed)).abs()[0]
    seen = float(change[:half].max()) > LEAK * max(1.0, float(change[half:].max()))
    if seen or _pull_of_later_tokens(model, row, half) > LEAK:
        settings: Any = getattr(getattr(model, "model", None), "config", None)
        needed = getattr(settings, "is_decoder", None) is False
        advice = "set is_decoder: true in its configuration" if needed else "give a causal one"
        raise UserError(
            f"{name} is not causal: the loss of a token depends on later tokens, so that losses "
            f"would be too good to be true; {advice}"
        )


def _pull_of_later_tokens(model: nn.Module, row: Tensor, half: int) -> float:
    """Gradient of the first ``half`` losses by embeddings of later tokens, over that by earlier."""
    embedded: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[-1]

    backbone: Any = getattr(model, "model", model)
    handle = backbone.get_input_embeddings().register_forward_hook(keep)
    try:
        loss = model(row)[0, :half].sum()
    finally:
        handle.remove()
    (pull,) = torch.autograd.grad(loss, embedded[:1], allow_unused=True, materialize_grads=True)
    # Inputs are shifted: the embedding at a position is that of the token before it.
    size = pull[0].abs().amax(-1)
    return (
        float(size[half + 1 :].max() / size.max()) if half + 1 < len(size) and size.any() else 0.0
    )


def _not_exact(
    model: nn.Module, name: str, rows: Tensor, curved: Tensor
) -> tuple[tuple[str, ...], bool]:
    """``curved``: the rows as second derivatives are taken of them."""
    one = torch.ones(1)
    each = _tried(name, lambda: [gradient(model, row[None], one)[1] for row in rows])
    u = {key: torch.stack([of[key] for of in each]).mean(0) for key in each[0]}
    true = torch.stack([dot(of, u) for of in each])
    if not torch.isfinite(true).all():
        raise UserError(f"{name}: a gradient is not finite: give other weights or options")
    found: list[str] = []
    if not _agree(lambda: influence(model, rows, u), true, EXACT):
        if not _agree(lambda: influence_by_differences(model, rows, u), true, APPROXIMATE):
            raise UserError(
                f"{name}: the change of a loss along a direction is not the inner product with its "
                "gradient, so that methods would select by wrong numbers: give another model"
            )
        found.append("influence")
    rows = curved
    weights = torch.full((len(rows),), 1 / len(rows))
    if _has_hessian(model, rows, weights, u):
        return tuple(found), False
    found.append("hessian_product")
    # Steps across the kinks of piecewise linear models add up to another curvature.
    usual, *others = (
        hessian_by_differences(model, rows, weights, u, GRADIENT_STEP * share)
        for share in (1, 0.1, 3)
    )
    gaps = [{key: usual[key] - other[key] for key in usual} for other in others]
    most = APPROXIMATE**2 * dot(usual, usual)
    return tuple(found), not all(bool(dot(gap, gap) <= most) for gap in gaps)


def _has_hessian(model: nn.Module, rows: Tensor, weights: Tensor, u: dict[str, Tensor]) -> bool:
    """Whether forward mode over a backward pass works, and is symmetric as a Hessian is."""
    generator = torch.Generator().manual_seed(1)
    v = {
        key: torch.randn(value.shape, generator=generator) * value.std(correction=0)
        for key, value in parameters_of(model).items()
    }
    try:
        along_u, along_v = (hessian_product(model, rows, weights, each) for each in (u, v))
    except (NotImplementedError, RuntimeError) as error:
        if "memory" in str(error):
            raise
        return False
    scale = (dot(along_u, along_u) * dot(v, v)).sqrt()
    return bool((dot(along_u, v) - dot(along_v, u)).abs() <= EXACT * scale)


def _agree(function: Callable[[], Tensor], true: Tensor, tolerance: float) -> bool:
    try:
        said = function()
    except (NotImplementedError, RuntimeError) as error:
        if "memory" in str(error):
            raise
        return False
    # An operation may also drop the derivative without a word.
    return said is not None and bool((said - true).abs().max() <= tolerance * true.abs().max())


def _tried(name: str, function: Callable[[], T]) -> T:
    try:
        return function()
    except Exception as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            raise
        raise UserError(
            f"{name} fails on rows of tokens: {one_line(error)}; correct its options, or give "
            "another model"
        ) from error
