"""The check of the bill: what a run costs, what it is billed and what its method declares."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch

from benchmark.api.auxiliary import score
from benchmark.api.cost import CostMeter, RowFlops
from benchmark.contract.errors import ContractError
from benchmark.contract.problem import STEPS, Problem
from benchmark.contract.trial import ExactMeter, Trial, global_randomness
from benchmark.models.influence import gradient, hessian_product, influence, parameters_of
from benchmark.models.losses import token_share

BILL_TOLERANCE = 0.01
DECLARED_TOLERANCE = 0.1
NEGLIGIBLE = 0.01
"""Work that need not be declared, as a share of what training costs."""


def check_cost(trial: Trial) -> str:
    """The bill is within 1% of the FLOPs of every step, the declaration within 10%."""
    meter = ExactMeter()
    making = CostMeter()
    with global_randomness(3):
        with making.charge("making"):
            trainer = trial.trainer("cost", steps=STEPS)
        # The trainer and the task have the same one, and the method finds it there.
        trainer.meter = trainer.task.meter = meter
        trained = trainer.run()[0]
    true, billed = trained.cost.flops, trial.whole.progress.results[0]["cost"]["flops"]
    training = trained.cost.parts["training"]
    chosen = true - training - meter.stated
    declared = trainer.method.selection_flops(row_flops(trial.problem))
    if making.bill().flops > 0:
        raise _broken(
            trial,
            f"its constructor computes ({making.bill().flops:.3g} FLOPs), which nobody is charged",
            "do that in prepare",
        )
    if abs(billed - true) > BILL_TOLERANCE * true:
        raise _broken(
            trial,
            f"it is billed {billed:.4g} FLOPs and uses {true:.4g}",
            "let step_kind(step) tell apart steps that do different work",
        )
    if abs(declared - chosen) > max(DECLARED_TOLERANCE * chosen, NEGLIGIBLE * training):
        raise _broken(
            trial,
            f"it declares {declared:.4g} FLOPs of preparation and selection and uses {chosen:.4g} "
            f"(training: {training:.4g})",
            "let selection_flops add up every pass of the main model and of auxiliary models",
        )
    stated = f", {meter.stated / training:.4f} stated" if meter.stated else ""
    return (
        f"of training: selection {declared / training:.3f} declared, {chosen / training:.3f} "
        f"measured{stated}"
    )


@cache
def row_flops(problem: Problem) -> RowFlops:
    """Measured FLOPs of each kind of pass of the problem's main model."""
    model = problem.model()
    rows = torch.from_numpy(problem.data.generic.tokens(torch.arange(8).numpy()))
    share, here = token_share(rows), parameters_of(model)

    def per_row(work: Callable[[], object]) -> float:
        meter = CostMeter()
        with meter.charge("work"):
            work()
        return meter.bill().flops / len(rows)

    return RowFlops(
        tokens=rows.shape[1],
        forward=per_row(lambda: score(model, rows)),
        gradient=per_row(lambda: gradient(model, rows, share)),
        influence=per_row(lambda: influence(model, rows, here)),
        hessian_product=per_row(lambda: hessian_product(model, rows, share, here)),
    )


def _broken(trial: Trial, seen: str, mend: str) -> ContractError:
    return ContractError(trial.method.name, "cost", seen, mend)
