"""Samples of rows: what they tell of overlap, and what a run records, interrupted or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmark.core.randomness import splitmix64
from benchmark.study.row_sample import KEY, SAMPLE_ROWS, check_sample, overlaps, sample_of
from benchmark.study.study import RunSpec
from benchmark.training.hooks import Hooks, InterruptedRunError
from benchmark.training.loop import Trainer

MakeSpec = Callable[..., RunSpec]
MakeTrainer = Callable[..., Trainer]


def test_hashes_are_those_of_splitmix64_and_never_alike() -> None:
    assert splitmix64([0])[0] == 0xE220A8397B1DCDAF
    assert np.unique(splitmix64(np.arange(100_000))).size == 100_000


def test_merged_samples_are_the_sample_of_all_rows_together() -> None:
    rows = np.random.default_rng(0).integers(0, 5000, size=2000)
    whole = sample_of(rows)
    assert len(whole) == SAMPLE_ROWS
    assert sample_of(sample_of(rows[:700]), sample_of(rows[700:])).tolist() == whole.tolist()


def test_few_rows_are_compared_exactly() -> None:
    shares, errors = overlaps([[1, 2, 3], [2, 3, 4], []])
    assert shares[0, 1] == shares[1, 0] == 0.5
    assert errors[0, 1] == 0
    assert shares[0, 2] == 0
    assert np.isnan(shares[2, 2])


def test_estimates_are_unbiased_and_as_far_off_as_their_errors_say() -> None:
    found = []
    for seed in range(200):
        rows = np.random.default_rng(seed).permutation(10**6)
        one, other, third = rows[:3000], rows[1500:4500], rows[10_000:11_000]
        shares, errors = overlaps([sample_of(one), sample_of(other), sample_of(third)])
        found.append((shares[0, 1], errors[0, 1]))
        assert shares[0, 2] == 0
    estimates, errors = np.array(found).T
    truth = 1500 / 4500
    assert estimates.mean() == pytest.approx(truth, abs=4 * errors.mean() / np.sqrt(len(found)))
    assert estimates.std() == pytest.approx(errors.mean(), rel=0.2)


@pytest.mark.parametrize(
    "rows",
    ["12", [1.5], [-1], [True], [3, 3], sample_of([1, 2, 3])[::-1].tolist(), list(range(200))],
)
def test_what_is_no_sample_is_refused(rows: object) -> None:
    with pytest.raises(ValueError, match=KEY):
        check_sample(rows)
    check_sample(sample_of([1, 2, 3]).tolist())


def test_a_run_records_a_sample_of_the_generic_rows_since_the_last_evaluation(
    spec: MakeSpec, trainer: MakeTrainer
) -> None:
    run = spec("random")
    made = trainer(run)
    trained: list[list[int]] = [[]]
    add = made.domains.add
    evaluations = []

    def watched(positions: np.ndarray) -> None:
        trained[-1].extend(positions[positions >= 0])
        add(positions)

    def evaluated(_: object) -> None:
        evaluations.append(trained[-1])
        trained.append([])

    made.domains.add = watched  # type: ignore[method-assign]
    made.hooks = Hooks(on_metrics=evaluated)
    made.run()
    lines = made.progress.metrics
    assert len(lines) == len(evaluations)
    for line, rows in zip(lines, evaluations, strict=True):
        assert line.get(KEY, []) == sample_of(rows).tolist()
    assert any(KEY in line for line in lines)
    assert all(KEY not in line for line in lines if line["stage"] == "fine_tuned")


def test_an_interruption_between_evaluations_does_not_change_samples(
    spec: MakeSpec, trainer: MakeTrainer
) -> None:
    run = spec("random")
    whole = trainer(run, name="whole")
    whole.run()
    steps = iter(range(10**6))
    stopping = trainer(run, Hooks(should_stop=lambda: next(steps) == 3), name="stopped")
    with pytest.raises(InterruptedRunError):
        stopping.run()
    assert stopping.progress.step % run.training.evaluate_every != 0
    resumed = trainer(run, name="stopped")
    resumed.run()
    samples = [[line.get(KEY) for line in made.progress.metrics] for made in (whole, resumed)]
    assert samples[0] == samples[1]


def test_a_checkpoint_without_a_sample_can_be_gone_on_from(
    spec: MakeSpec, trainer: MakeTrainer
) -> None:
    counter = trainer(spec("random")).domains
    counter.add(np.array([5, 7, -1]))
    state = counter.state_dict()
    del state["sample"]
    fresh = trainer(spec("random")).domains
    fresh.load_state_dict(state)
    assert KEY not in fresh.figures()
