"""LESS: the preconditioned formula, the one-pass form against the exact one, what is kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import spearmanr
from torch import nn

from baselines.filters.less import Less, Moments, cosine, mean_gradient
from benchmark.api.state import restore, state_of
from benchmark.core.errors import UserError
from benchmark.models.losses import per_example_loss, token_share
from benchmark.models.optimisation import build_optimizer
from tests.baselines.tasks import MakeTask, batches, build, harbour_share, prepared

SHORT: dict[str, Any] = {"warmup_steps": 10}


def test_adam_step_by_hand() -> None:
    moments = Moments(
        first={"w": torch.tensor([2.0])}, second={"w": torch.tensor([4.0])}, decay=(0.9, 0.98)
    )
    g = {"w": torch.tensor([3.0])}
    expected = (0.9 * 2 + 0.1 * 3) / math.sqrt(0.98 * 4 + 0.02 * 9 + 1e-8)
    assert float(moments.adam_step(g)["w"]) == pytest.approx(expected)
    assert float(moments.root()["w"]) == pytest.approx(math.sqrt(0.98 * 4 + 1e-8))


def test_cosine_by_hand() -> None:
    a = {"v": torch.tensor([3.0, 0.0]), "w": torch.tensor([4.0])}
    b = {"v": torch.tensor([0.0, 5.0]), "w": torch.tensor([12.0])}
    assert cosine(a, b) == pytest.approx(4 * 12 / (5 * 13))


def test_adam_step_is_the_optimisers_but_for_its_bias_correction() -> None:
    """AdamW after many steps, when the correction has faded."""
    model = nn.Linear(3, 1)
    optimizer = build_optimizer(list(model.parameters()))
    optimizer.param_groups[0]["lr"] = 1e-3
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        _set_gradients(model, generator)
        optimizer.step()
    moments = Moments.of(model, optimizer)
    moments = Moments(
        {k: v.clone() for k, v in moments.first.items()},
        {k: v.clone() for k, v in moments.second.items()},
        moments.decay,
    )
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    g = _set_gradients(model, generator)
    optimizer.step()
    for name, value in moments.adam_step(g).items():
        moved = (before[name] - dict(model.named_parameters())[name].detach()) / 1e-3
        torch.testing.assert_close(value, moved, rtol=1e-3, atol=1e-4)


def _set_gradients(model: nn.Module, generator: torch.Generator) -> dict[str, torch.Tensor]:
    for value in model.parameters():
        value.grad = torch.randn(value.shape, generator=generator)
    return {name: value.grad.clone() for name, value in model.named_parameters()}  # type: ignore[union-attr]


def test_one_pass_ranks_as_the_exact_form(corpora_tasks: MakeTask) -> None:
    """Measured: .984, .993 and .993 after 30, 100 and 300 steps."""
    positions = np.arange(0, 1400, 10)
    exact, one_pass = (
        build(Less, corpora_tasks(), warmup_steps=60, form=form).scores(positions)
        for form in ("exact", "one_pass")
    )
    assert spearmanr(exact, one_pass).statistic > 0.97


def test_mean_gradient_in_parts_is_that_of_the_whole(
    corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = corpora_tasks()
    model = task.model.eval()
    rows = task.target_sample()
    monkeypatch.setattr("baselines.filters.less.SCORING_ROWS", 7)
    loss = token_share(rows) @ per_example_loss(model, rows)
    expected = torch.autograd.grad(loss, list(model.parameters()))
    for found, value in zip(mean_gradient(model, rows).values(), expected, strict=True):
        torch.testing.assert_close(found, value)


@pytest.mark.parametrize("form", ["one_pass", "exact"])
def test_prefers_rows_like_the_target(corpora_tasks: MakeTask, form: str) -> None:
    made = prepared(Less, corpora_tasks(), form=form, warmup_steps=60, candidates=300)
    assert harbour_share(made) > 0.9


def test_keeps_a_share_of_the_candidates(corpora_tasks: MakeTask) -> None:
    made = prepared(Less, corpora_tasks(), **SHORT, keep=0.1, candidates=300)
    candidates, kept = made._draw_candidates(), state_of(made)["kept"].numpy()
    assert (len(candidates), len(kept)) == (300, 30)
    assert set(kept) <= set(candidates)
    scores = made.scores(candidates)
    others = scores[~np.isin(candidates, kept)]
    assert scores[np.isin(candidates, kept)].min() >= others.max()


def test_all_rows_may_be_kept(corpora_tasks: MakeTask) -> None:
    made = prepared(Less, corpora_tasks(), **SHORT, keep=1.0)
    assert state_of(made)["kept"].tolist() == list(range(len(made.task.generic)))


def test_selection_is_a_function_of_the_seed(corpora_tasks: MakeTask) -> None:
    """Whatever was drawn from torch before: the twin has dropout."""
    kept = []
    for seed in (0, 0, 1):
        torch.rand(17)
        made = prepared(Less, corpora_tasks(seed=seed), warmup_steps=20, candidates=1000)
        kept.append(state_of(made)["kept"])
    assert kept[0].equal(kept[1])
    assert not kept[0].equal(kept[2])


def test_the_main_model_is_left_alone(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    before = [value.detach().clone() for value in task.model.parameters()]
    prepared(Less, task, **SHORT)
    after = list(task.model.parameters())
    assert all(a.equal(b) for a, b in zip(before, after, strict=True))
    assert all(value.grad is None for value in after)
    assert task.model.training


def test_goes_on_from_its_state_without_preparing(corpora_tasks: MakeTask) -> None:
    whole, resumed = prepared(Less, corpora_tasks(), **SHORT), build(Less, corpora_tasks())
    restore(resumed, state_of(whole))
    assert batches(resumed).equal(batches(whole))


def test_warm_up_and_scoring_are_charged(corpora_tasks: MakeTask) -> None:
    """A scored row costs a forward pass and its tangent; a trained one three forward passes."""
    flops = []
    for settings in (
        {"warmup_steps": 1, "candidates": 512},
        {"warmup_steps": 11, "candidates": 512},
        {"warmup_steps": 1, "candidates": 1024},
    ):
        task = corpora_tasks()
        with task.meter.charge("preparation"):
            prepared(Less, task, **settings)
        flops.append(task.meter.bill().parts["preparation"])
        assert task.meter.examples == settings["warmup_steps"] * task.batch_size
    trained_row = (flops[1] - flops[0]) / (10 * task.batch_size)
    scored_row = (flops[2] - flops[0]) / 512
    assert 0.5 < scored_row / trained_row < 1.2


@pytest.mark.parametrize("candidates", [20, 5000])
def test_candidates_out_of_range_are_refused(corpora_tasks: MakeTask, candidates: int) -> None:
    """Five per cent of 20 rows are no batch, and there are no 5000."""
    with pytest.raises(UserError, match=f"less: candidates {candidates} must be at most the 1460 "):
        build(Less, corpora_tasks(), candidates=candidates)


@pytest.mark.parametrize(
    "bad", [{"warmup_steps": 0}, {"form": "both"}, {"candidates": -1}, {"top": 1}]
)
def test_bad_hyperparameters_are_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        Less.Hyperparameters.model_validate(bad)
