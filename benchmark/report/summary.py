"""Frames in, numbers out: losses, costs and equal-cost losses over the seeds of each method."""

from __future__ import annotations

from typing import cast

import pandas as pd

from benchmark.records import STAGES

GROUP = ["model", "target", "method", "stage"]
PAIR = ["model", "target"]
LOSSES = ("test_loss", "valid_loss", "generic_loss")
COSTS = ("flops", "seconds", "seconds_per_step", "examples", "target_passes")
RATIOS = ("flops", "seconds_per_step")


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


def budgets(training: pd.DataFrame, reference: str | None) -> pd.Series[float]:
    """FLOPs that a comparison at equal cost allows, by (model, target).

    They are the total of the ``reference`` method at the end of training; without such a method,
    that of the cheapest one. A pair whose reference has no result yet has no budget.
    """
    totals = training.groupby([*PAIR, "method", "seed"])["flops"].max().reset_index()
    # The largest over seeds, lest rounding cut the reference itself.
    by_method = totals.groupby([*PAIR, "method"])["flops"].max().reset_index()
    if reference is not None:
        by_method = by_method[by_method["method"] == reference]
    return cast("pd.Series[float]", by_method.groupby(PAIR)["flops"].min().rename("budget"))


def equal_cost(training: pd.DataFrame, budget: pd.Series[float]) -> pd.DataFrame:
    """Validation losses at the last evaluation that a budget allows.

    Gives a row for each (model, target, method) with a budget: ``valid_loss_mean`` and
    ``valid_loss_sd`` over seeds, in nats a token, ``seeds`` (0 if even the first evaluation
    exceeds the budget), ``first_step`` and ``last_step``, the range of steps over seeds, and
    ``budget`` and ``flops``.
    """
    run = [*PAIR, "method", "seed"]
    known = training.merge(budget.reset_index(), on=PAIR).sort_values("step", kind="stable")
    allowed = known[known["flops"] <= known["budget"]].groupby(run, sort=False).tail(1)
    grouped = allowed.groupby([*PAIR, "method"], sort=False)
    numbers = grouped.agg(
        valid_loss_mean=("valid_loss", "mean"),
        valid_loss_sd=("valid_loss", "std"),
        seeds=("valid_loss", "size"),
        first_step=("step", "min"),
        last_step=("step", "max"),
        flops=("flops", "mean"),
    )
    every = known[[*PAIR, "method", "budget"]].drop_duplicates()
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
    """Everything that tables show: a row for each planned (model, target, method, stage).

    Columns are those of `coverage`, `final_losses`, `costs` and `provenance`, and those of
    `equal_cost` prefixed by ``equal_cost_`` (in the rows of the stage ``trained`` only).
    """
    training = training_metrics(metrics, stages)
    allowed = equal_cost(training, budgets(training, reference)).assign(stage=STAGES[0])
    prefixed = allowed.rename(
        columns={name: f"equal_cost_{name}" for name in allowed.columns if name not in GROUP}
    )
    rows = coverage(planned, stages)
    bills, sources = costs(stages, reference), provenance(stages)
    for numbers in (final_losses(stages), bills, prefixed, sources):
        rows = rows.merge(numbers, on=GROUP, how="left")
    steps = ("equal_cost_first_step", "equal_cost_last_step")
    return rows.astype(dict.fromkeys(("equal_cost_seeds", *steps), "Int64"))
