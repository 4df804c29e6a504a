"""MATES: what is probed, what the network learns of it, when, and what is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.online.mates import Mates, fit, rank_correlation
from benchmark.api import PRETRAINING, flat_row_gradients, parameters_of, score, twin
from benchmark.core.errors import UserError
from tests.baselines.tasks import MakeTask, build, harbour_share

SMALL: dict[str, Any] = {"network": {"embedding": 16, "hidden": 16}, "network_rate": 0.01}


def test_probes_are_what_a_small_step_on_each_row_does(corpora_tasks: MakeTask) -> None:
    """Taken, and measured on the whole target sample."""
    task = corpora_tasks()
    rows, target = task.generic_batch(0).rows, task.target_sample()
    found = build(Mates, task, **SMALL).probe(rows)
    rate, before = 1e-2, score(task.model, target).mean()
    gradients = flat_row_gradients(task.model, rows)[0]
    for row, expected in zip(gradients, found, strict=True):
        stepped = twin(task.model)
        sizes = [value.numel() for value in parameters_of(stepped).values()]
        with torch.no_grad():
            for value, part in zip(stepped.parameters(), row.split(sizes), strict=True):
                value -= rate * part.view_as(value)
        fall = (before - score(stepped, target).mean()) / rate
        assert float(fall) == pytest.approx(float(expected), rel=0.1, abs=0.01)


def test_stages(corpora_tasks: MakeTask) -> None:
    settings = build(Mates, corpora_tasks(), stages=3, **SMALL).hyperparameters
    phases = [settings.phase(step, 11) for step in range(11)]
    assert phases == [PRETRAINING] * 4 + ["refresh", "draw", "draw", "draw"] + [
        "refresh", "draw", "draw",
    ]  # fmt: skip


class Linear(nn.Module):
    """Scores a row by weights of its tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(10))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.weight[rows].sum(1)


def test_a_network_that_can_tell_learns_what_was_probed() -> None:
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.integers(1, 10, (1000, 6)))
    truth = torch.from_numpy(rng.normal(size=10)).float()
    values = 7 + 1e-3 * truth[rows].sum(1)
    network = Linear()
    assert fit(network, rows, values, 0.1, rng) > 0.95
    # Standardised: the weights of tokens are those of the truth, less a constant, over its spread.
    learned, wanted = network.weight[1:].detach(), truth[1:]
    assert torch.corrcoef(torch.stack([learned, wanted]))[0, 1] > 0.95
    assert float(network(rows).detach().std()) == pytest.approx(1, abs=0.2)


def test_the_best_epoch_is_kept() -> None:
    """At a rate that only does harm, later epochs are worse than some before them."""
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.integers(1, 10, (200, 6)))
    values = (rows == 3).sum(1).float() + 0.01 * torch.from_numpy(rng.normal(size=200)).float()
    network = Linear()
    found = fit(network, rows, values, 5.0, rng)
    with torch.no_grad():
        assert rank_correlation(network(rows[180:]), values[180:]) == pytest.approx(found)


def test_rank_correlation_by_hand() -> None:
    """1 - 6 sum d^2 / (n (n^2 - 1)) with d = 0, 1, -1, 0."""
    a, b = torch.tensor([1.0, 2.0, 5.0, 9.0]), torch.tensor([0.1, 0.4, 0.3, 7.0])
    assert rank_correlation(a, b) == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_finds_rows_like_the_target(corpora_tasks: MakeTask) -> None:
    """After a first stage on which the main model has not been trained, as nobody does here."""
    task = corpora_tasks(steps=40)
    made = build(Mates, task, stages=2, probed_share=1.0, temperature=0.1, **SMALL)
    made.refresh(20)
    assert made.agreement > 0.3
    drawn = np.concatenate([made.batch(step).positions for step in range(21, 40)])
    harbour = task.generic.domain_names.index("harbour")
    assert (task.generic.domains(drawn) == harbour).mean() > 0.5
    assert harbour_share(made, steps=20) == pytest.approx(1 / 3, abs=0.12), "plain pretraining"


def test_stages_of_all_steps_are_refused(corpora_tasks: MakeTask) -> None:
    with pytest.raises(UserError, match=r"stages 5 leave no step .* run of 1 steps: raise steps"):
        build(Mates, corpora_tasks(steps=1), **SMALL)
