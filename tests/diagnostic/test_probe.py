"""Alignments of a real tiny model: planted rows, a generic target, bad gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.core.errors import UserError
from benchmark.data import PreparedData
from benchmark.diagnostic.fine_tuning import short_fine_tuning
from benchmark.diagnostic.probe import Alignments, Probe, align, draw_probe
from benchmark.diagnostic.settings import Settings
from benchmark.diagnostic.summary import Observed, Values, estimate, measure, plain_draw
from benchmark.models.influence import dot
from benchmark.study.budget import FineTuningConfig
from benchmark.study.study import RunSpec

DOWNSAMPLING = 8.0


def rows_of_domain(data: PreparedData, names: set[str], count: int) -> torch.Tensor:
    """Generic rows of some domains."""
    everything = np.arange(len(data.generic))
    wanted = [data.generic.domain_names.index(name) for name in names]
    places = everything[np.isin(data.generic.domains(everything), wanted)]
    chosen = np.random.default_rng(0).permutation(places)[:count]
    return torch.from_numpy(data.generic.tokens(chosen))


def measured(alignments: Alignments, settings: Settings) -> Values:
    displaced = alignments.mean_generic
    observed = Observed([alignments], displaced, DOWNSAMPLING)
    return measure(observed, plain_draw(observed, settings, 0))[-1]


@pytest.fixture
def probe(data: PreparedData, settings: Settings) -> Probe:
    return draw_probe(data, settings, 0, "cpu")


def test_planted_target_rows_give_more_headroom_than_other_text(
    model: nn.Module, data: PreparedData, probe: Probe, settings: Settings
) -> None:
    others = set(data.generic.domain_names) - {"harbour"}
    plain = rows_of_domain(data, others, 64)
    planted = plain.clone()
    planted[::8] = rows_of_domain(data, {"harbour"}, 8)
    with_them, without = (
        measured(align(model, replace(probe, generic=rows), "cosine", ""), settings)
        for rows in (planted, plain)
    )
    assert with_them["headroom"] > without["headroom"] + 0.3
    assert with_them["headroom"] == pytest.approx(1, abs=0.35)
    alignments = align(model, replace(probe, generic=planted), "cosine", "").mean_generic
    best = np.argsort(-alignments)[:8]
    assert np.isin(best, np.arange(0, 64, 8)).sum() >= 6


def test_a_generic_target_is_as_reliable_as_the_null(
    model: nn.Module, data: PreparedData, probe: Probe, settings: Settings
) -> None:
    many = settings.model_copy(update={"probe_rows": 400})
    generic = draw_probe(data, many, 5, "cpu").generic
    everything = replace(probe, generic=generic[:256], target=generic[256:320])
    about_one_thing = replace(probe, generic=generic[:256])
    same, other = (
        measured(align(model, each, "cosine", ""), settings)
        for each in (everything, about_one_thing)
    )
    assert abs(same["excess_reliability"]) < 0.15
    assert other["excess_reliability"] > same["excess_reliability"] + 0.15


def test_alignments_are_cosines_with_the_batches(model: nn.Module, probe: Probe) -> None:
    found = align(model, probe, "cosine", "")
    assert found.generic.shape == (8, 64)
    assert found.target.shape == (8, 64)
    assert [null.shape for null in found.null] == [(8, 32), (8, 32)]
    assert found.target_rows_per_null_row == 2
    assert np.abs(found.generic).max() <= 1
    own = found.batch_of == np.arange(8)[:, None]
    # A row's own batch knows it.
    assert found.target[own].mean() > found.target[~own].mean()
    by_hand = [found.target[np.arange(8) != b, j].mean() for j, b in enumerate(found.batch_of)]
    np.testing.assert_allclose(found.held_out_target, by_hand)


def test_normalisations_differ_by_norms_and_shares(model: nn.Module, probe: Probe) -> None:
    from benchmark.diagnostic.gradients import row_gradients

    cosine, one_sided = (align(model, probe, kind, "") for kind in ("cosine", "reference"))
    rows = row_gradients(model, probe.generic)
    factor = (rows.norms() * rows.shares * len(rows.shares)).numpy()
    np.testing.assert_allclose(one_sided.generic, cosine.generic * factor, rtol=1e-3, atol=1e-6)


def test_a_larger_probe_holds_the_rows_of_a_smaller(data: PreparedData, settings: Settings) -> None:
    small, large = (
        draw_probe(data, settings.model_copy(update={"probe_rows": count}), 0, "cpu")
        for count in (32, 64)
    )
    torch.testing.assert_close(small.generic, large.generic[:32])
    other = draw_probe(data, settings, 1, "cpu")
    assert not torch.equal(other.target, large.target)


def test_target_batches_are_disjoint(data: PreparedData, probe: Probe) -> None:
    assert len(np.unique(probe.target.numpy(), axis=0)) == 64
    sample = {row.tobytes() for row in data.target_train.tokens(np.arange(100))}
    assert {row.tobytes() for row in probe.target.numpy()} <= sample


def test_non_finite_gradients_are_refused(model: nn.Module, probe: Probe) -> None:
    with torch.no_grad():
        next(model.parameters())[:] = float("nan")
    with pytest.raises(UserError, match=r"^checkpoint 30%: generic row 0: the gradient is not fin"):
        align(model, probe, "cosine", "checkpoint 30%")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batches": 3}, r"--batches: at least 4 are needed, two to each half \(got 3\)"),
        ({"batches": 20}, r"targets\.t\.train: 100 rows cannot be .* 20 x --batch-rows 8 = 160"),
        ({"probe_rows": 15}, r"--probe-rows: 15 rows are too few .* --batches 8 .* give 16"),
        ({"probe_rows": 1001}, r"--probe-rows: 1001 rows are more than the 1000 generic rows"),
    ],
)
def test_sizes_that_cannot_be_filled(
    settings: Settings, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        settings.model_copy(update=changes).require_rows("t", 100, 1000)


def test_intervals_narrow_with_more_batches(
    model: nn.Module, data: PreparedData, probe: Probe, settings: Settings
) -> None:
    widths = []
    for batches in (4, 12):
        rows = torch.from_numpy(data.target_train.tokens(np.arange(8 * batches)))
        some = replace(probe, target=rows, batches=batches)
        alignments = align(model, some, "cosine", "")
        observed = Observed([alignments], alignments.mean_generic, DOWNSAMPLING)
        (estimated,) = estimate(observed, settings, 0)
        low, high = estimated.bounds("self_alignment")
        assert low < estimated.values["self_alignment"] < high
        widths.append(high - low)
    assert widths[1] < widths[0]


def test_short_fine_tuning_goes_downhill_and_leaves_the_model(
    model: nn.Module, data: PreparedData, spec: RunSpec
) -> None:
    from benchmark.models.checkpoint import weights_hash
    from benchmark.models.evaluation import mean_token_loss
    from benchmark.models.influence import parameters_of, step_along

    before, loss = weights_hash(model), mean_token_loss(model, data.target_train)
    sample = torch.from_numpy(data.target_train.tokens(np.arange(100)))
    arguments = {"steps": 8, "size": 16, "seed": 0}
    there = short_fine_tuning(model, sample, spec.fine_tuning, **arguments)
    again = short_fine_tuning(model, sample, spec.fine_tuning, **arguments)
    assert weights_hash(model) == before
    assert all(torch.equal(there[name], again[name]) for name in there)
    assert dot(there, there) > 0
    moved = step_along(parameters_of(model), there, 1.0)
    model.load_state_dict({**model.state_dict(), **moved})
    assert mean_token_loss(model, data.target_train) < loss


def test_fine_tuning_that_diverges(model: nn.Module, data: PreparedData) -> None:
    sample = torch.from_numpy(data.target_train.tokens(np.arange(100)))
    hopeless = FineTuningConfig(steps=8, rate=1e30)
    with pytest.raises(UserError, match=r"fine_tuning\.rate: the loss is nan at step \d"):
        short_fine_tuning(model, sample, hopeless, steps=8, size=16, seed=0)
