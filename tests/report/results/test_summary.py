"""Numbers of the report against hand-computed ones."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from benchmark.report.results import summary


def stage_rows(*rows: tuple[str, str, int, str, float, float]) -> pd.DataFrame:
    """Stages from (target, method, seed, stage, test loss, FLOPs); 100 steps of 0.5 s."""
    return pd.DataFrame(
        [
            {
                **{"model": "mini", "target": target, "method": method, "seed": seed},
                **{"stage": stage, "step": 100, "rule": "last step", "examples": 3200},
                **{"test_loss": loss, "valid_loss": loss - 1, "generic_loss": loss + 1},
                **{"flops": flops, "seconds": 50.0, "target_passes": 2.0},
            }
            for target, method, seed, stage, loss, flops in rows
        ]
    )


def curve(method: str, seed: int, *points: tuple[int, float, float]) -> list[dict[str, Any]]:
    """Evaluations while training from (step, valid loss, FLOPs)."""
    run = {"model": "mini", "target": "law", "method": method, "seed": seed, "stage": "trained"}
    return [
        {**run, "step": step, "valid_loss": loss, "flops": flops} for step, loss, flops in points
    ]


def test_final_losses_are_means_and_sample_deviations() -> None:
    frame = stage_rows(
        ("law", "dds", 0, "trained", 2.0, 1.0),
        ("law", "dds", 1, "trained", 2.6, 1.0),
        ("law", "random", 0, "trained", 3.0, 1.0),
    )
    losses = summary.final_losses(frame).set_index("method")
    assert losses.loc["dds", "test_loss_mean"] == pytest.approx(2.3)
    assert losses.loc["dds", "test_loss_sd"] == pytest.approx(0.6 / math.sqrt(2))
    assert losses.loc["dds", "valid_loss_mean"] == pytest.approx(1.3)
    assert math.isnan(losses.loc["random", "test_loss_sd"])


def test_costs_are_compared_to_the_same_target_and_seed() -> None:
    frame = stage_rows(
        ("law", "pretraining", 0, "trained", 2.0, 10.0),
        ("law", "pretraining", 1, "trained", 2.0, 20.0),
        ("law", "dds", 0, "trained", 2.0, 30.0),
        ("law", "dds", 1, "trained", 2.0, 80.0),
        ("med", "pretraining", 0, "trained", 2.0, 10.0),
        ("med", "dds", 0, "trained", 2.0, 10.0),
    )
    bills = summary.costs(frame, "pretraining")
    law = bills[(bills["target"] == "law") & (bills["method"] == "dds")].iloc[0]
    assert law["flops"] == 55.0
    assert law["flops_ratio"] == pytest.approx((3.0 + 4.0) / 2)
    assert law["seconds_per_step"] == 0.5
    means = summary.costs_over_targets(bills).set_index("method")
    assert means.loc["dds", "flops_ratio"] == pytest.approx((3.5 + 1.0) / 2)


def test_equal_cost_cuts_costlier_methods_and_leaves_cheaper_ones() -> None:
    training = pd.DataFrame(
        [
            *curve("pretraining", 0, (50, 3.0, 50.0), (100, 2.5, 100.0)),
            *curve("dear", 0, (50, 2.6, 99.0), (100, 2.0, 198.0)),
            *curve("dear", 1, (50, 2.8, 60.0), (100, 2.2, 100.0)),
            *curve("cheap", 0, (50, 3.2, 20.0), (100, 2.9, 40.0)),
            *curve("unaffordable", 0, (50, 1.0, 101.0), (100, 0.9, 202.0)),
        ]
    )
    budget = summary.budgets(training, "pretraining")
    assert budget.to_dict() == {("mini", "law"): 100.0}
    rows = summary.equal_cost(training, budget).set_index("method")
    assert rows.loc["pretraining", "valid_loss_mean"] == 2.5
    assert rows.loc["dear", "valid_loss_mean"] == pytest.approx((2.6 + 2.2) / 2)
    assert (rows.loc["dear", "first_step"], rows.loc["dear", "last_step"]) == (50, 100)
    assert rows.loc["cheap", "valid_loss_mean"] == 2.9
    assert rows.loc["unaffordable", "seeds"] == 0
    assert math.isnan(rows.loc["unaffordable", "valid_loss_mean"])


def test_equal_seconds_is_the_last_evaluation_within_the_seconds_of_pretraining() -> None:
    points = {
        ("pretraining", 0): ((50, 3.0, 9.0), (100, 2.5, 18.0)),
        ("pretraining", 1): ((50, 3.1, 11.0), (100, 2.6, 20.0)),
        # 100 steps end after the slower of pretraining's seeds; 80 do with it.
        ("slow", 0): ((40, 2.9, 10.0), (80, 2.4, 20.0), (100, 2.0, 25.0)),
        # It begins late.
        ("scoring", 0): ((40, 2.8, 19.5), (80, 2.2, 30.0)),
        ("too_late", 0): ((40, 1.0, 20.1),),
    }
    rows = [line for (method, seed), run in points.items() for line in curve(method, seed, *run)]
    training = pd.DataFrame(rows).rename(columns={"flops": "seconds"})
    budget = summary.budgets(training, "pretraining", "seconds")
    assert budget.to_dict() == {("mini", "law"): 20.0}
    found = summary.equal_cost(training, budget, "seconds").set_index("method")
    assert found.loc["pretraining", "valid_loss_mean"] == pytest.approx((2.5 + 2.6) / 2)
    assert (found.loc["slow", "valid_loss_mean"], found.loc["slow", "last_step"]) == (2.4, 80)
    assert (found.loc["scoring", "valid_loss_mean"], found.loc["scoring", "spent"]) == (2.8, 19.5)
    assert found.loc["too_late", "seeds"] == 0


def test_without_pretraining_the_cheapest_method_sets_the_budget() -> None:
    training = pd.DataFrame(
        [
            *curve("dear", 0, (100, 2.0, 198.0)),
            *curve("cheap", 0, (50, 3.2, 20.0), (100, 2.9, 40.0)),
        ]
    )
    assert summary.budgets(training, None).to_dict() == {("mini", "law"): 40.0}


def test_a_run_that_fails_in_fine_tuning_keeps_its_result_as_trained() -> None:
    planned = pd.DataFrame(
        {"model": "mini", "target": "law", "method": "dds", "seed": [0, 1, 2]}
    ).assign(status=["failed", "pending", "done"], failed_at_step=[7, None, None])
    stages = stage_rows(
        ("law", "dds", 0, "trained", 2.0, 1.0),
        ("law", "dds", 2, "trained", 2.0, 1.0),
        ("law", "dds", 2, "fine_tuned", 2.0, 1.0),
    )
    rows = summary.coverage(planned, stages).set_index("stage")
    counts = ["planned_seeds", "seeds", "failed_seeds", "pending_seeds"]
    assert rows.loc["trained", counts].tolist() == [3, 2, 0, 1]
    assert rows.loc["fine_tuned", counts].tolist() == [3, 1, 1, 1]
    assert rows.loc["fine_tuned", "failed_at_step"] == 7
    assert rows.loc["trained", "failed_at_step"] is pd.NA


def test_pareto_front_keeps_what_no_cheaper_one_beats() -> None:
    frame = stage_rows(
        ("law", "cheap", 0, "trained", 3.0, 1.0),
        ("law", "worse", 0, "trained", 3.1, 2.0),
        ("law", "better", 0, "trained", 2.0, 3.0),
    )
    assert summary.pareto_front(frame)["method"].tolist() == ["cheap", "better"]
