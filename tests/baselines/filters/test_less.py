"""LESS: the preconditioned formula, the one-pass form against the exact one, what is kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import spearmanr
from torch import Tensor, nn

from baselines.filters.less import Less, Moments, mean_unit_gradient
from baselines.filters.random_subset import RandomSubset
from benchmark.api.auxiliary import train_step, twin
from benchmark.api.state import restore, state_of
from benchmark.core.errors import UserError
from benchmark.models.differences import Direction
from benchmark.models.influence import gradient
from benchmark.models.optimisation import build_optimizer
from benchmark.models.whole_gradients import flattened
from tests.baselines.tasks import MakeTask, batches, build, harbour_share, prepared

SHORT: dict[str, Any] = {"warmup_steps": 10}


def test_adam_step_by_hand() -> None:
    first, second = ({"w": torch.tensor([[0.0], [value]])} for value in (2.0, 4.0))
    moments = Moments(first, second, decay=(0.9, 0.98))
    expected = (0.9 * 2 + 0.1 * 3) / math.sqrt(0.98 * 4 + 0.02 * 9 + 1e-8)
    step = moments.adam_step("w", slice(1, 2), torch.tensor([[3.0]]))
    assert float(step) == pytest.approx(expected)
    preconditioned = moments.preconditioned({"w": torch.tensor([[0.0], [3.0]])})["w"]
    assert float(preconditioned[1]) == pytest.approx(3 / math.sqrt(0.98 * 4 + 1e-8))


def test_adam_step_is_the_optimisers_but_for_its_bias_correction() -> None:
    """AdamW after many steps, when the correction has faded."""
    model = nn.Linear(3, 1)
    optimizer = build_optimizer(list(model.parameters()))
    optimizer.param_groups[0]["lr"] = 1e-3
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        set_gradients(model, generator)
        optimizer.step()
    moments = Moments.of(model, optimizer)
    before = flat(model)
    g = set_gradients(model, generator)
    optimizer.step()
    moved = (before - flat(model)) / 1e-3
    torch.testing.assert_close(whole_step(moments, g), moved, rtol=1e-3, atol=1e-4)


def set_gradients(model: nn.Module, generator: torch.Generator) -> Direction:
    g = {n: torch.randn(v.shape, generator=generator) for n, v in model.named_parameters()}
    for name, value in model.named_parameters():
        value.grad = g[name]
    return g


def whole_step(moments: Moments, g: Direction) -> Tensor:
    """The Adam step of one gradient, as one vector."""
    return torch.cat(
        [moments.adam_step(n, slice(None), v.flatten()[None])[0] for n, v in g.items()]
    )


def flat(model: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def test_scores_are_mean_cosines_with_each_target_rows_gradient(corpora_tasks: MakeTask) -> None:
    """Recomputed row by row: each target row counts alike, however long its gradient."""
    task = corpora_tasks(steps=30)
    made, positions = build(Less, task, **SHORT), np.arange(0, 1400, 200)
    model = twin(task.model)
    optimizer = build_optimizer(list(model.parameters()))
    for step in range(10):
        batch, rate = task.generic_batch(step), task.learning_rate(step)
        train_step(task, model, optimizer, batch, rate, f"less warm-up {step}")
    moments = Moments.of(model, optimizer)
    target = [row_gradient(model, row) for row in task.target_sample()]
    for score, row in zip(made.scores(positions), task.generic_rows(positions).rows, strict=True):
        step = whole_step(moments, row_gradient(model, row))
        cosines = [float(torch.cosine_similarity(step, flattened(g), dim=0)) for g in target]
        assert score == pytest.approx(np.mean(cosines), rel=1e-3)


def row_gradient(model: nn.Module, row: Tensor) -> Direction:
    return gradient(model, row[None], torch.ones(1))[1]


def test_checkpoints_are_summed_by_their_learning_rates(
    corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twelve warm-up steps: after the fourth, the eighth, the last. Each scores one."""
    made = build(Less, corpora_tasks(), warmup_steps=12, checkpoints=3)
    seen = []

    def ones(model: nn.Module, moments: Moments, toward: Direction, positions: np.ndarray) -> Any:
        assert moments.first.keys() == moments.second.keys() == toward.keys()
        seen.append(flat(model))
        return np.ones(len(positions))

    monkeypatch.setattr(made, "_cosines", ones)
    rates = [made.task.learning_rate(step) for step in range(12)]
    means = [np.mean(rates[start : start + 4]) for start in (0, 4, 8)]
    np.testing.assert_allclose(made.scores(np.arange(5)), np.full(5, sum(means)))
    assert len(seen) == 3
    assert not seen[0].equal(seen[1])
    alone = build(Less, corpora_tasks(), warmup_steps=8)
    assert flat(next(alone._checkpoints())[0]).equal(seen[1])


def test_one_pass_ranks_nearly_as_cosines(corpora_tasks: MakeTask) -> None:
    """It lacks the length of the row's own step."""
    positions = np.arange(0, 1400, 10)
    cosines, one_pass = (
        build(Less, corpora_tasks(), warmup_steps=60, form=form).scores(positions)
        for form in ("cosine", "one_pass")
    )
    assert spearmanr(cosines, one_pass).statistic > 0.9


def test_gradients_in_chunks_are_those_of_the_whole(
    corpora_tasks: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = corpora_tasks()
    rows = task.target_sample()
    whole = flattened(mean_unit_gradient(task.model, rows))
    monkeypatch.setattr("baselines.filters.less.GRADIENT_ROWS", 7)
    monkeypatch.setattr("benchmark.models.row_gradients.CHUNK_FLOATS", 1000)
    torch.testing.assert_close(flattened(mean_unit_gradient(task.model, rows)), whole)
    assert 0 < float(whole.norm()) < 1


@pytest.mark.parametrize("form", ["one_pass", "cosine"])
def test_prefers_rows_like_the_target(corpora_tasks: MakeTask, form: str) -> None:
    made = prepared(Less, corpora_tasks(), form=form, warmup_steps=60, keep=0.1)
    assert harbour_share(made) > 0.9


def test_keeps_a_share_of_the_corpus_whatever_is_scored(corpora_tasks: MakeTask) -> None:
    """As many rows as another filter keeps at the same setting."""
    made = prepared(Less, corpora_tasks(), **SHORT, keep=0.1, candidates=300)
    candidates, kept = made._draw_candidates(), state_of(made)["kept"].numpy()
    assert (len(candidates), len(kept)) == (300, 146)
    assert made.kept_count == build(RandomSubset, corpora_tasks(), keep=0.1).kept_count == 146
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
    """A scored row costs a gradient, as one that is trained on does."""
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
    assert scored_row == pytest.approx(trained_row, rel=0.05)


@pytest.mark.parametrize("candidates", [20, 5000])
def test_candidates_out_of_range_are_refused(corpora_tasks: MakeTask, candidates: int) -> None:
    """Five per cent of 1460 rows are 73, and there are no 5000."""
    with pytest.raises(UserError, match=f"less: candidates {candidates} .* 73 .* 1460 generic"):
        build(Less, corpora_tasks(), candidates=candidates)


def test_more_checkpoints_than_steps_are_refused(corpora_tasks: MakeTask) -> None:
    with pytest.raises(UserError, match=r"checkpoints 5 must be at most the 4 steps .* raise warm"):
        build(Less, corpora_tasks(), checkpoints=5)


@pytest.mark.parametrize(
    "bad", [{"warmup_steps": 0}, {"form": "both"}, {"candidates": -1}, {"top": 1}]
)
def test_bad_hyperparameters_are_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        Less.Hyperparameters.model_validate(bad)
