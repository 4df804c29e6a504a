"""RHO-loss: what it selects, against the same by hand; when it scores ahead; its bill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.online.rho_loss import RhoLoss
from benchmark.api.auxiliary import resized, score
from benchmark.api.state import state_of
from benchmark.models.checkpoint import load_model_state, model_state
from benchmark.models.losses import per_example_loss
from benchmark.models.optimisation import build_optimizer, update
from tests.baselines.mixtures.mixture_tasks import (
    assert_refused,
    charged,
    restored,
)
from tests.baselines.target_models import by_hand
from tests.baselines.tasks import MakeTask, build, harbour_share, prepared


@pytest.mark.parametrize(("share", "prior"), [(0.0, 0), (0.5, 6)])
def test_selects_by_the_loss_above_the_references(
    corpora_tasks: MakeTask, share: float, prior: int
) -> None:
    """The main model's loss is the one that it has at that step."""
    task = corpora_tasks()
    method = prepared(RhoLoss, task, prior_share=share, adaptation_epochs=2, downsampling=4)
    _, reference = by_hand(task, scale=0.5, prior=prior, adaptation=25, factor=1.0)
    for step in range(2):
        big = task.generic_batch(step, 32)
        task.model.eval()
        with torch.no_grad():
            live, known = (
                per_example_loss(task.model, big.rows),
                per_example_loss(reference, big.rows),
            )
        expected = torch.topk(live - known, 8)
        assert method.batch(step).positions.tolist() == big.positions[expected.indices].tolist()
        figures = method.observe(step)
        assert figures["reducible_loss/chosen"] == pytest.approx(float(expected.values.mean()))
        assert figures["reducible_loss/offered"] == pytest.approx(float((live - known).mean()))
        load_model_state(task.model, {k: v + 0.1 for k, v in model_state(task.model).items()})


def test_rows_that_are_learnt_are_passed_over(corpora_tasks: MakeTask) -> None:
    """After the main model has learnt what was chosen by heart, the choice is another."""
    task = corpora_tasks()
    method = prepared(RhoLoss, task, adaptation_epochs=10)
    first = method.batch(0)
    optimizer = build_optimizer(list(task.model.parameters()))
    for _ in range(60):
        update(task.model, optimizer, first, 0.01)
    again = method.batch(0).positions
    assert len(set(again) & set(first.positions)) < 4


@pytest.mark.parametrize("ahead", [True, False])
def test_resumes_with_the_same_choice(corpora_tasks: MakeTask, ahead: bool, tmp_path: Path) -> None:
    """Fewer steps are offered fewer rows than the 1,460 of the corpus, and score as they go."""
    make = {True: 36, False: 12}
    method = prepared(RhoLoss, corpora_tasks(steps=make[ahead]))
    assert set(state_of(method)) == {"irreducible" if ahead else "reference"}
    task = corpora_tasks(steps=make[ahead])
    again = restored(method, task, tmp_path / "state")
    assert task.meter.examples == 0, "the reference is not trained again"
    np.testing.assert_array_equal(method.batch(3).positions, again.batch(3).positions)


def test_losses_kept_are_those_of_fresh_ones(corpora_tasks: MakeTask) -> None:
    """The reference depends on the run's steps in nothing, without a prior."""
    kept, fresh = (prepared(RhoLoss, corpora_tasks(steps=steps)) for steps in (36, 12))
    load_model_state(kept.reference, model_state(fresh.reference))
    big = kept.task.big_batch(5)
    torch.testing.assert_close(kept.irreducible_losses(big), fresh.irreducible_losses(big))


def test_selects_the_targets_subject(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks(steps=100)
    assert harbour_share(prepared(RhoLoss, task, adaptation_epochs=10)) > 0.6


@pytest.mark.parametrize("ahead", [True, False])
def test_bill(corpora_tasks: MakeTask, ahead: bool) -> None:
    task = corpora_tasks(steps=36 if ahead else 12)
    small, batch = resized(task, 0.5, "measured"), task.generic_batch(0)
    optimizer = build_optimizer(list(small.parameters()))
    training = charged(task, lambda: update(small, optimizer, batch, 0.0))
    forward = charged(task, lambda: score(small, batch.rows))
    live = charged(task, lambda: score(task.model, batch.rows))
    method = build(RhoLoss, task)
    # Three epochs of a hundred rows in eights.
    expected = 38 * training + (len(task.generic) / 8 * forward if ahead else 0)
    assert charged(task, method.prepare) == pytest.approx(expected, rel=1e-3)
    expected = 8 * (live if ahead else live + forward)
    assert charged(task, lambda: method.batch(0)) == pytest.approx(expected, rel=1e-3)
    assert task.meter.target_passes == pytest.approx(38 * 8 / 100)
    assert task.meter.examples == 38 * 8


@pytest.mark.parametrize(
    ("key", "value"),
    [("downsampling", 1), ("prior_share", -0.1), ("adaptation_rate_factor", 0)],
)
def test_bad_settings_are_refused(content: dict[str, Any], key: str, value: Any) -> None:
    assert_refused(content, "rho_loss", key, value)
