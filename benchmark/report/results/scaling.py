"""Loss against FLOPs over models of several sizes, and the power laws fitted to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.report.results.inputs import StudyResults
from benchmark.report.statistics.estimates import Array
from benchmark.report.statistics.power_law import FEWEST_POINTS, PowerLaw, fit_power_law
from benchmark.study.stages import STAGES


@dataclass(frozen=True)
class Scaling:
    """A method on one target: by model (models,), the cheapest first, the means over seeds.

    ``flops`` as trained, all included; ``losses`` on test. ``fit``: None of fewer than two models
    or of losses that do not fall; without a floor if of fewer than `FEWEST_POINTS`.
    """

    flops: Array
    losses: Array
    fit: PowerLaw | None


def model_sizes(results: StudyResults) -> set[int]:
    """Numbers of parameters of the models with a record."""
    return {record.parameters for record in results.records}


def scalings(results: StudyResults) -> dict[str, dict[str, Scaling]]:
    """By target, then by method in the study's order; those without a result are left out.

    A model counts for a method with any seed that has a result.
    """
    trained = results.stages[results.stages["stage"] == STAGES[0]]
    means = trained.groupby(["target", "method", "model"])[["flops", "test_loss"]].mean()
    points = means.reset_index().sort_values("flops", kind="stable")
    found: dict[str, dict[str, Scaling]] = {target: {} for target in results.study.targets}
    for target, methods in found.items():
        for method in results.methods:
            own = points[(points["target"] == target) & (points["method"] == method)]
            if not own.empty:
                flops, losses = (own[name].to_numpy(dtype=float) for name in ("flops", "test_loss"))
                methods[method] = _scaling(flops, losses)
    return found


def _scaling(flops: Array, losses: Array) -> Scaling:
    if len(np.unique(flops)) < 2:
        return Scaling(flops, losses, None)
    fit = fit_power_law(flops, losses, floor=flops.size >= FEWEST_POINTS)
    falls = fit.scale > 0 and losses[-1] < losses[0]
    return Scaling(flops, losses, fit if falls else None)
