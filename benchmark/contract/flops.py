"""The check of the bill: what a run costs, and what it is billed."""

from __future__ import annotations

from benchmark.api.cost import CostMeter
from benchmark.contract.errors import ContractError
from benchmark.contract.problem import STEPS
from benchmark.contract.trial import ExactMeter, Trial, global_randomness

BILL_TOLERANCE = 0.01


def check_cost(trial: Trial) -> str:
    """The bill is within 1% of the FLOPs of every step, each of them counted."""
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
            "let Hyperparameters.phase tell apart steps that do different work",
        )
    stated = f", {meter.stated / training:.4f} stated" if meter.stated else ""
    return f"of training: preparation and selection {chosen / training:.3f}{stated}"


def _broken(trial: Trial, seen: str, mend: str) -> ContractError:
    return ContractError(trial.method.name, "cost", seen, mend)
