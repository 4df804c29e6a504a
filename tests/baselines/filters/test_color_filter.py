"""CoLoR-Filter: its two models and its choice against the same by hand, and its bill."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from baselines.filters.color_filter import ColorFilter
from benchmark.api.auxiliary import resized, score
from benchmark.core.errors import UserError
from benchmark.models.losses import per_example_loss
from benchmark.models.optimisation import build_optimizer, update
from tests.baselines.mixtures.mixture_tasks import assert_refused, charged, weights_of
from tests.baselines.target_models import by_hand
from tests.baselines.tasks import MakeTask, build, harbour_share, prepared


def test_keeps_the_rows_whose_loss_adaptation_lowers_most(corpora_tasks: MakeTask) -> None:
    """A prior of half of twelve steps; two passes over a hundred rows in eights are 25 steps."""
    task = corpora_tasks()
    before = weights_of(task)
    method = prepared(
        ColorFilter, task, keep=0.02, prior_share=0.5, adaptation_epochs=2, adaptation_rate_factor=3
    )
    prior, adapted = by_hand(task, scale=0.5, prior=6, adaptation=25, factor=3.0)
    rows = torch.from_numpy(task.generic.tokens(np.arange(len(task.generic))))
    with torch.no_grad():
        falls = (per_example_loss(prior, rows) - per_example_loss(adapted, rows)).numpy()
    count = round(0.02 * len(rows))
    assert len(method.kept) == count
    assert falls[method.kept].min() >= np.sort(falls)[-count] - 1e-5
    assert torch.equal(weights_of(task), before), "the main model is left alone"


def test_selects_the_targets_subject(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks(steps=100)
    assert harbour_share(prepared(ColorFilter, task, adaptation_epochs=10)) > 0.8


def test_bill(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    small, batch = resized(task, 0.5, "measured"), task.generic_batch(0)
    optimizer = build_optimizer(list(small.parameters()))
    training = charged(task, lambda: update(small, optimizer, batch, 0.0))
    forward = charged(task, lambda: score(small, batch.rows))
    expected = (12 + 13) * training + 2 * len(task.generic) / 8 * forward
    assert charged(task, build(ColorFilter, task).prepare) == pytest.approx(expected, rel=1e-3)
    assert task.meter.target_passes == pytest.approx(13 * 8 / 100)
    assert task.meter.examples == (12 + 13) * 8


def test_models_that_do_not_tell_their_size_are_not_made_smaller(corpora_tasks: MakeTask) -> None:
    task = corpora_tasks()
    del task.model.size
    with pytest.raises(
        UserError, match=r"scale 0.5 needs a main model that tells its size.*give 1"
    ):
        build(ColorFilter, task).prepare()
    assert len(prepared(ColorFilter, task, scale=1, keep=0.1).kept) > 0


@pytest.mark.parametrize(
    ("key", "value"),
    [("keep", 0.0), ("scale", 0), ("prior_share", 1.5), ("adaptation_epochs", 0)],
)
def test_bad_settings_are_refused(content: dict[str, Any], key: str, value: Any) -> None:
    assert_refused(content, "color_filter", key, value)
