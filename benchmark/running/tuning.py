"""Choosing among trials on valid, and naming what was chosen in a study."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically
from benchmark.core.strict_yaml import dump_yaml
from benchmark.running.trials import trial_label, trial_study
from benchmark.study.chosen import EVERY_TARGET, Chosen, ChosenValues
from benchmark.study.records import RunRecord, load_records
from benchmark.study.stages import STAGE_NAMES, Stage
from benchmark.study.study import Study

RULE = (
    "lowest valid loss {when} of {trials} trials allowed to each method on each model {where} "
    "(trial 0 as the study has it, the others drawn by a scrambled Sobol sequence from its search "
    "space; equal draws are run once; failed trials are never chosen; ties go to the earlier trial)"
)


@dataclass(frozen=True)
class TrialResult:
    """All that choosing may see of a trial: nothing of the test split.

    ``valid_loss`` is None for a trial that failed; ``flops`` is its bill.
    """

    model: str
    target: str
    label: str
    hyperparameters: dict[str, Any]
    valid_loss: float | None
    flops: float


def read_trials(results: Path, stage: Stage) -> list[TrialResult]:
    """What the records of a study of trials say about valid after ``stage``."""
    return [_seen_by_choice(record, stage) for record in load_records(results)]


def choose(
    study: Study,
    results: Iterable[TrialResult],
    *,
    trials: int,
    seed: int,
    stage: Stage,
    for_every_target: bool = False,
) -> Chosen:
    """The best trial of each method on each model and target, by valid loss after ``stage``.

    By default as trained: that is what a method's hyper-parameters act on, and it is one
    measurement, while the loss after fine-tuning is the best of several on the same valid rows.
    Choices are made for each target, as somebody would who has that target's sample only; with
    ``for_every_target`` once, by the mean over the study's targets, for studies of others.

    Raises:
        UserError: all trials of a method failed.
    """
    plan = trial_study(study, trials, seed)
    planned = {entry.label for entry in plan.methods}
    found = {(result.model, result.target, result.label): result for result in results}
    targets = tuple(study.targets)
    groups = [(EVERY_TARGET, targets)] if for_every_target else [(t, (t,)) for t in targets]
    rows = []
    for model, (name, chosen_on) in itertools.product(study.models, groups):
        for entry in study.methods:
            labels = {trial: trial_label(entry.label, trial) for trial in range(trials)}
            ran = {
                trial: [found.get((model, target, label)) for target in chosen_on]
                for trial, label in labels.items()
                if label in planned
            }
            rows.append(_best(entry.label, model, name, ran))
    where = f"and on average over {', '.join(targets)}" if for_every_target else "and target"
    return Chosen(
        study=study.study,
        rule=RULE.format(when=STAGE_NAMES[stage], where=where, trials=trials),
        stage=stage,
        trials=trials,
        draw_seed=seed,
        training_seed=plan.seeds[0],
        chosen=tuple(rows),
    )


def write_chosen(file: Path, chosen: Chosen) -> None:
    """Write a file of chosen values that a study can name."""
    content = chosen.model_dump(mode="json")
    write_atomically(file, dump_yaml(content))


def _seen_by_choice(record: RunRecord, stage: Stage) -> TrialResult:
    losses = [result.valid_loss for result in record.stages if result.stage == stage]
    usable = record.status == "done" and losses and math.isfinite(losses[0])
    return TrialResult(
        model=record.spec.model_name,
        target=record.spec.target_name,
        label=record.spec.method.label,
        hyperparameters=record.spec.method.hyperparameters,
        valid_loss=losses[0] if usable else None,
        flops=max((result.cost.flops for result in record.stages), default=0.0),
    )


def _best(
    label: str, model: str, target: str, ran: Mapping[int, list[TrialResult | None]]
) -> ChosenValues:
    """The best of the planned trials, each with its results on the targets that it is judged by."""
    losses = {trial: loss for trial, each in ran.items() if (loss := _mean_loss(each)) is not None}
    if not losses:
        raise UserError(
            f"methods: {label}: all {len(ran)} trials on {target} ({model}) failed: mend its "
            "hyper-parameters, or remove it from the study"
        )
    best = min(losses, key=lambda trial: (losses[trial], trial))
    results = [result for each in ran.values() for result in each if result is not None]
    chosen = next(result for result in ran[best] if result is not None)
    return ChosenValues(
        label=label,
        model=model,
        target=target,
        trial=best,
        valid_loss=losses[best],
        distinct_trials=len(ran),
        failed_trials=len(ran) - len(losses),
        tuning_flops=sum(result.flops for result in results),
        hyperparameters=chosen.hyperparameters,
    )


def _mean_loss(results: list[TrialResult | None]) -> float | None:
    """Mean of the valid losses, None if one is missing."""
    losses = [result.valid_loss for result in results if result is not None]
    known = [loss for loss in losses if loss is not None]
    if len(known) < len(results):
        return None
    return sum(known) / len(known)
