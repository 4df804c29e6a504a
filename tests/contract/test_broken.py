"""Each check finds out a method that breaks what it holds methods to."""

from __future__ import annotations

import pytest

from benchmark.api.baseline import Baseline
from benchmark.contract import CHECKS, ContractError, Problem, Trial, findings
from benchmark.core.errors import UserError
from tests.contract import broken

FOUND_OUT = [
    (broken.PeeksAtTest, "held_out_rows", "read rows of target_test"),
    (broken.PeeksAtValidDomainsQuietly, "held_out_rows", "read rows of generic_valid"),
    (broken.TrainsOnValid, "held_out_rows", "batch of step 0 holds a row of a valid or test"),
    (broken.StartsElsewhere, "same_start", "prepare changed the main model"),
    (broken.MovesTheModel, "same_start", r"observe\(0\) changed the main model"),
    (broken.LeavesEvaluationMode, "same_start", r"batch\(0\) changed the main model"),
    (broken.ShiftsTheStream, "same_start", "another generic stream"),
    (broken.DeclaresAnothersBeginning, "same_start", "step 2 is declared as plain pretraining"),
    (broken.HalvesTheBatch, "batches", r"batch\(0\) has 4 rows, task.batch_size is 8"),
    (broken.ChangesItsSize, "batches", r"batch\(1\) has rows of shape \(16, 32\), not \(8, 32"),
    (broken.MakesRowsUp, "batches", "not the generic rows at its positions"),
    (broken.CallsGenericRowsTarget, "batches", "not in the target's train sample"),
    (broken.NegativeWeight, "weights", "go down to -0.1"),
    (broken.InfiniteWeight, "weights", "are not all finite"),
    (broken.WeightsWithGraph, "weights", "carry a graph"),
    (broken.TooFewWeights, "weights", r"shape \(1,\), not floats \[8\]"),
    (broken.Unseeded, "same_twice", "two runs with one seed differ in .*at step 4"),
    (broken.GloballySeeded, "same_twice", "task.rng"),
    (broken.ForgetsItsGenerator, "resume", "and resumed, it differs in"),
    (broken.LosesItsState, "state", "state.counter.count is not the same"),
    (broken.HidesRareWork, "cost", "it is billed .* let Hyperparameters.phase"),
    (broken.WorksInItsConstructor, "cost", "its constructor computes"),
    (broken.UndoesTraining, "learns", "after 50 steps"),
    (broken.with_settings(broken.NoRange), "hyperparameters", "rate: nan is accepted"),
    (broken.with_settings(broken.HalfARange), "hyperparameters", r"share: 1e\+300 is accepted"),
    (broken.with_settings(broken.IgnoresUnknown), "hyperparameters", "no_such_setting: 1 is acc"),
    (broken.with_settings(broken.TunesOutOfRange), "hyperparameters", "'share': 2.0} is refused"),
    (broken.with_settings(broken.UnclearRefusal), "hyperparameters", "lacks the key"),
]


@pytest.mark.parametrize(("method", "check", "message"), FOUND_OUT)
def test_check_finds_it_out(
    problem: Problem, method: type[Baseline], check: str, message: str
) -> None:
    with pytest.raises(ContractError, match=message) as caught:
        CHECKS[check](Trial(method, problem))
    assert str(caught.value).startswith(f"broken: {check}: ")


def test_a_state_without_its_attribute_is_refused(problem: Problem) -> None:
    with pytest.raises(UserError, match="state names 'cuonter', and the method has no such"):
        CHECKS["state"](Trial(broken.MisnamesItsState, problem))


def test_every_check_can_fail() -> None:
    assert {check for _, check, _ in FOUND_OUT} == set(CHECKS)


def test_a_bug_is_a_finding_with_its_place(problem: Problem) -> None:
    found = {f.check: f for f in findings(broken.ReadsTheStore, problem)}
    assert not found["batches"].passed
    assert found["batches"].seen.startswith("AttributeError")
    assert "(broken.py:" in found["batches"].seen
    assert found["hyperparameters"].passed
