"""Frames in, numbers out: losses, costs and equal-cost losses over the seeds of each method."""

from __future__ import annotations

from typing import cast

import pandas as pd

from benchmark.study.stages import STAGES

GROUP = ["model", "target", "method", "stage"]
PAIR = ["model", "target"]
LOSSES = ("test_loss", "valid_loss", "generic_loss")
COSTS = ("flops", "seconds", "seconds_per_step", "examples", "target_passes")
RATIOS = ("flops", "seconds_per_step")
BUDGETED = ("flops", "seconds")
"""Costs at which methods are compared at equal cost."""


def final_losses(stages: pd.DataFrame) -> pd.DataFrame:
    """Losses over seeds at the steps that the rules chose.

    Takes a row for each run and stage; gives a row for each (model, target, method, stage):
    ``test_loss_mean``, ``test_loss_sd`` and so on, in nats a token (the deviation is the
    sample's and missing with one seed), the mean ``step`` and the ``rule`` that chose it.
    """
    grouped = stages.groupby(GROUP, sort=False)
    means = grouped[list(LOSSES)].mean().add_suffix("_mean")
    deviations = grouped[list(LOSSES)].std(ddof=1).add_suffix("_sd")
    steps = grouped.agg(step=("step", "mean"), rule=("rule", "first"))
    return means.join(deviations).join(steps).reset_index()


def costs(stages: pd.DataFrame, reference: str | None) -> pd.DataFrame:
    """Bills over seeds, a row for each (model, target, method, stage).

    ``flops``, ``seconds``, ``examples`` and ``target_passes`` are cumulative up to the stage's
    chosen step; ``seconds_per_step`` is that of training, what came before it included.
    ``flops_ratio`` and ``seconds_per_step_ratio`` compare each run to the ``reference`` run of
    the same model, target, seed and stage (missing without one).
    """
    runs = stages.copy()
    trained = runs["stage"] == STAGES[0]
    runs["seconds_per_step"] = (runs["seconds"] / runs["step"]).where(trained & (runs["step"] > 0))
    same = ["model", "target", "seed", "stage"]
    compared = runs.loc[runs["method"] == reference, [*same, *RATIOS]]
    runs = runs.merge(compared, on=same, how="left", suffixes=("", "_of_reference"))
    for cost in RATIOS:
        runs[f"{cost}_ratio"] = runs[cost] / runs[f"{cost}_of_reference"]
    columns = [*COSTS, *(f"{cost}_ratio" for cost in RATIOS)]
    return runs.groupby(GROUP, sort=False)[columns].mean().reset_index()


def costs_over_targets(bills: pd.DataFrame) -> pd.DataFrame:
    """Mean over targets of what `costs` gives: a row for each (model, method, stage)."""
    grouped = bills.groupby(["model", "method", "stage"], sort=False)
    return grouped.mean(numeric_only=True).reset_index()


def coverage(planned: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    """How many of the planned seeds have a result, by (model, target, method, stage).

    ``planned_seeds``, ``seeds`` (with a result), ``failed_seeds`` and ``pending_seeds`` count
    them; ``failed_at_step`` is the earliest step of a failure. A run that failed in fine-tuning
    still has its result as trained.
    """
    run = ["model", "target", "method", "seed"]
    both = pd.DataFrame({"stage": list(STAGES)})
    cells = planned.merge(both, how="cross")
    found = stages[[*run, "stage"]].assign(seeds=True)
    cells = cells.merge(found, on=[*run, "stage"], how="left")
    cells["seeds"] = cells["seeds"].eq(True)
    cells["failed_seeds"] = ~cells["seeds"] & (cells["status"] == "failed")
    cells["pending_seeds"] = ~cells["seeds"] & (cells["status"] == "pending")
    cells["failed_at_step"] = cells["failed_at_step"].astype("Float64").where(cells["failed_seeds"])
    grouped = cells.groupby(GROUP, sort=False)
    counts = grouped[["seeds", "failed_seeds", "pending_seeds"]].sum()
    sizes = grouped.size().rename("planned_seeds")
    first_failure = grouped["failed_at_step"].min().astype("Int64")
    return counts.join(sizes).join(first_failure).reset_index()


def training_metrics(metrics: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    """The evaluations made while training, of the runs whose training has a result."""
    run = ["model", "target", "method", "seed"]
    trained = stages.loc[stages["stage"] == STAGES[0], run]
    return metrics[metrics["stage"] == STAGES[0]].merge(trained, on=run)


def provenance(stages: pd.DataFrame) -> pd.DataFrame:
    """Which ``commit`` and ``protocol`` each (model, target, method, stage) was made with.

    Commits with uncommitted changes end in ``+``; several are joined by semicolons.
    """
    made = stages[[*GROUP, "protocol"]].copy()
    made["commit"] = stages["commit"] + stages["dirty"].map({True: "+", False: ""})
    grouped = made.groupby(GROUP, sort=False)[["commit", "protocol"]]
    return grouped.agg(_distinct).reset_index()


def _distinct(texts: pd.Series[str]) -> str:
    return ";".join(texts.unique())


def budgets(training: pd.DataFrame, reference: str | None, cost: str = "flops") -> pd.Series[float]:
    """How much of a ``cost`` (flops, seconds) a comparison at equal cost allows, by pair.

    It is the total of the ``reference`` method at the end of training; without such a method,
    that of the cheapest one. A pair whose reference has no result yet has no budget.
    """
    totals = training.groupby([*PAIR, "method", "seed"])[cost].max().reset_index()
    # The largest over seeds, lest the reference itself be cut.
    by_method = totals.groupby([*PAIR, "method"])[cost].max().reset_index()
    if reference is not None:
        by_method = by_method[by_method["method"] == reference]
    return cast("pd.Series[float]", by_method.groupby(PAIR)[cost].min().rename("budget"))


def affordable(
    training: pd.DataFrame, budget: pd.Series[float], cost: str = "flops"
) -> pd.DataFrame:
    """The last evaluation of each run whose cumulative ``cost`` is within the budget of its pair.

    Rows are those of ``training``, with the ``budget``; a run whose first evaluation exceeds it
    has none.
    """
    known = training.merge(budget.reset_index(), on=PAIR).sort_values("step", kind="stable")
    return known[known[cost] <= known["budget"]].groupby([*PAIR, "method", "seed"]).tail(1)


def equal_cost(
    training: pd.DataFrame, budget: pd.Series[float], cost: str = "flops"
) -> pd.DataFrame:
    """Validation losses at the last evaluation that a budget allows.

    Gives a row for each (model, target, method) with a budget: ``valid_loss_mean`` and
    ``valid_loss_sd`` over seeds, in nats a token, ``seeds`` (0 if even the first evaluation
    exceeds the budget), ``first_step`` and ``last_step``, the range of steps over seeds,
    ``spent``, the mean cost until then, and ``budget``.
    """
    grouped = affordable(training, budget, cost).groupby([*PAIR, "method"], sort=False)
    numbers = grouped.agg(
        valid_loss_mean=("valid_loss", "mean"),
        valid_loss_sd=("valid_loss", "std"),
        seeds=("valid_loss", "size"),
        first_step=("step", "min"),
        last_step=("step", "max"),
        spent=(cost, "mean"),
    )
    every = training[[*PAIR, "method"]].drop_duplicates().merge(budget.reset_index(), on=PAIR)
    joined = every.merge(numbers.reset_index(), on=[*PAIR, "method"], how="left")
    return joined.fillna({"seeds": 0}).astype({"seeds": int}).reset_index(drop=True)


def pareto_front(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean ``flops`` and ``test_loss`` of the methods and stages that no cheaper one beats."""
    means = runs.groupby(["method", "stage"], sort=False)[["flops", "test_loss"]].mean()
    ordered = means.sort_values(["flops", "test_loss"], kind="stable")
    best_before = ordered["test_loss"].cummin().shift(fill_value=float("inf"))
    return ordered[ordered["test_loss"] < best_before].reset_index()


def summarise(
    planned: pd.DataFrame,
    stages: pd.DataFrame,
    metrics: pd.DataFrame,
    reference: str | None,
) -> pd.DataFrame:
    """Losses and costs: a row for each planned (model, target, method, stage).

    Columns are those of `coverage`, `final_losses`, `costs` and `provenance`, and those of
    `equal_cost` prefixed by ``equal_flops_`` and ``equal_seconds_`` (in the rows of the stage
    ``trained`` only).
    """
    training = training_metrics(metrics, stages)
    rows = coverage(planned, stages)
    for numbers in (final_losses(stages), costs(stages, reference)):
        rows = rows.merge(numbers, on=GROUP, how="left")
    for cost in BUDGETED:
        allowed = equal_cost(training, budgets(training, reference, cost), cost)
        names = {name: f"equal_{cost}_{name}" for name in allowed.columns if name not in GROUP}
        prefixed = allowed.rename(columns=names).assign(stage=STAGES[0])
        rows = rows.merge(prefixed, on=GROUP, how="left")
        counts = (f"equal_{cost}_{name}" for name in ("seeds", "first_step", "last_step"))
        rows = rows.astype(dict.fromkeys(counts, "Int64"))
    return rows.merge(provenance(stages), on=GROUP, how="left")
