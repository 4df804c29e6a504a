"""One diagnosis from start to end: checkpoints, alignments, measures, verdict, bill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.api.cost import CostMeter
from benchmark.diagnostic.cheap import text_predictors
from benchmark.diagnostic.documents import Halves
from benchmark.diagnostic.fine_tuning import Displaced, agreement, short_fine_tuning
from benchmark.diagnostic.gradients import RowGradients
from benchmark.diagnostic.matrix import (
    Held,
    ReferenceMatrix,
    agreement_by_part,
    hold,
    probe_halves,
    reference_matrix,
    top_parts,
)
from benchmark.diagnostic.measures import held_out_curve, persistence
from benchmark.diagnostic.pretrained import Checkpoint, put_into
from benchmark.diagnostic.probe import Alignments, Probe, align, draw_probe, target_order
from benchmark.diagnostic.records import (
    CheckpointRecord,
    DiagnosisCost,
    DiagnosisRecord,
    Estimate,
)
from benchmark.diagnostic.rule import Rule
from benchmark.diagnostic.settings import AFFORDABLE, Settings
from benchmark.diagnostic.summary import Draw, Estimated, Observed, estimate, plain_draw
from benchmark.models.influence import Direction, gradient
from benchmark.models.losses import token_share
from benchmark.models.row_gradients import parameters_in
from benchmark.training.start import initial_model

if TYPE_CHECKING:
    from benchmark.data import PreparedData
    from benchmark.study.records import Environment
    from benchmark.study.study import RunSpec


@dataclass(frozen=True)
class Diagnosis:
    """The record, and the arrays that it was made from."""

    record: DiagnosisRecord
    observed: Observed


@dataclass(frozen=True)
class _Seen:
    """What the passes over the model gave, and what they cost."""

    alignments: list[Alignments]
    weights: list[str]
    displaced: Displaced
    matrix: ReferenceMatrix
    cost: DiagnosisCost
    parameters: int


def diagnose(
    study: str,
    spec: RunSpec,
    data: PreparedData,
    checkpoints: Sequence[Checkpoint],
    settings: Settings,
    rule: Rule,
    environment: Environment,
    hear: Callable[[str], None] = lambda _: None,
) -> Diagnosis:
    """Diagnose the target of ``spec`` at ``checkpoints``, oldest first.

    Of the target, only the train sample is read. ``hear`` is told what is being done.

    Raises:
        UserError: sizes that the data cannot fill, weights of another architecture, gradients or
            losses that are not finite.
    """
    settings.require_rows(spec.target_name, len(data.target_train), len(data.generic))
    probe = draw_probe(data, settings, spec.seed, environment.device)
    seen = _look(spec, data, checkpoints, probe, settings, environment.device, hear)
    observed = Observed(
        checkpoints=seen.alignments,
        displaced=seen.displaced.agreement,
        downsampling=spec.training.big_batch / spec.training.batch,
    )
    hear("resampling target batches")
    estimates = estimate(observed, settings, spec.seed)
    cheap = text_predictors(data, spec.seed) | {"loss_gap": seen.alignments[-1].loss_gap}
    record = DiagnosisRecord(
        study=study,
        model=spec.model_name,
        target=spec.target_name,
        seed=spec.seed,
        protocol=spec.protocol,
        data=data.fingerprint,
        sample=len(data.target_train),
        downsampling=observed.downsampling,
        settings=settings,
        checkpoints=tuple(
            _checkpoint_record(*of_one, plain_draw(observed, settings, spec.seed))
            for of_one in zip(checkpoints, seen.weights, seen.alignments, estimates, strict=True)
        ),
        persistence=_persistence(seen.alignments),
        displacement=seen.displaced.mode,
        reference_matrix=seen.matrix,
        cheap=cheap,
        notes=_notes(seen, settings, rule),
        verdict=rule.judge(
            estimates[-1],
            cheap,
            rule.outside(
                seen.parameters, spec.training.steps, len(data.target_train), spec.data.task
            ),
        ),
        cost=seen.cost,
        environment=environment,
    )
    return Diagnosis(record, observed)


def _look(
    spec: RunSpec,
    data: PreparedData,
    checkpoints: Sequence[Checkpoint],
    probe: Probe,
    settings: Settings,
    device: str,
    hear: Callable[[str], None],
) -> _Seen:
    """Everything that needs the model."""
    model = initial_model(spec, data).to(device)
    parts = settings.parts or top_parts(model)
    for part in parts:
        parameters_in(model, (part,))
    meter, alignments, weights = CostMeter(), [], []
    held: list[Held] = []
    split = probe_halves(probe, spec.seed)
    for checkpoint in checkpoints:
        label = checkpoint.label
        hear(f"gradients at {label}")
        weights.append(put_into(model, checkpoint))

        def keep(generic: RowGradients, target: RowGradients, label: str = label) -> None:
            found = {"generic": generic, "target": target}
            held.append(hold(label, found, split, settings.batch_rows))

        with meter.charge("gradients"):
            at = f"checkpoint {label}"
            alignments.append(align(model, probe, settings.normalisation, at, keep))
    hear("short fine-tuning")
    sample = np.arange(len(data.target_train))
    displacement = _fine_tune(model, spec, data, sample, settings, meter, device)
    with meter.charge("agreement with fine-tuning"):
        displaced = agreement(model, probe.generic, displacement, settings.normalisation)
    unseen = _without_held_out(data, probe, split["target"], spec.seed, settings)
    displacement = _fine_tune(model, spec, data, unseen, settings, meter, device)
    with meter.charge("reference matrix"):
        agreed = {
            kind: agreement_by_part(model, rows, displacement, parts)
            for kind, rows in held[-1].rows.items()
        }
        matrix = reference_matrix(held, split, settings.batch_rows, agreed)
    bill, run = meter.bill(), run_flops(model, spec, probe.target[: probe.batch_rows])
    cost = DiagnosisCost(bill=bill, run_flops=run, share=bill.flops / run)
    parameters = sum(p.numel() for p in model.parameters())
    return _Seen(alignments, weights, displaced, matrix, cost, parameters)


def _fine_tune(
    model: nn.Module,
    spec: RunSpec,
    data: PreparedData,
    rows: NDArray[np.int64],
    settings: Settings,
    meter: CostMeter,
    device: str,
) -> Direction:
    """Where a short fine-tuning on these rows of the train sample goes from the model's weights."""
    sample = torch.from_numpy(data.target_train.tokens(rows)).to(device)
    with meter.charge("fine-tuning"):
        return short_fine_tuning(
            model,
            sample,
            spec.fine_tuning,
            steps=settings.fine_tuning_steps,
            size=settings.fine_tuning_rows,
            seed=spec.seed,
            optimiser=spec.training,
        )


def _without_held_out(
    data: PreparedData, probe: Probe, split: Halves, seed: int, settings: Settings
) -> NDArray[np.int64]:
    """Rows of the train sample of no document that the matrix' held-out rows are of.

    Where these are of the sample's only document: the probe's other rows.
    """
    everything = np.arange(len(data.target_train))
    if not split.by_document:
        return target_order(data, seed)[: settings.target_rows][split.first]
    held_out = probe.target_documents[split.second]
    return everything[~np.isin(data.target_train.documents(everything), held_out)]


def run_flops(model: nn.Module, spec: RunSpec, rows: Tensor) -> float:
    """FLOPs of training the main model once, which every run of the study pays at least.

    Counted on some ``rows`` ``[n, T]``.
    """
    meter = CostMeter()
    with meter.charge("gradient"):
        gradient(model, rows, token_share(rows))
    return meter.bill().flops / len(rows) * spec.training.batch * spec.training.steps


def _checkpoint_record(
    checkpoint: Checkpoint,
    weights: str,
    alignments: Alignments,
    estimated: Estimated,
    plain: Draw,
) -> CheckpointRecord:
    measures = {
        name: Estimate.of(value, *estimated.bounds(name))
        for name, value in estimated.values.items()
    }
    return CheckpointRecord(
        label=checkpoint.label,
        step=checkpoint.step,
        weights=weights,
        measures=measures,
        curve=tuple(held_out_curve(alignments.generic, plain.halves, plain.target).tolist()),
        generic=tuple(alignments.mean_generic.tolist()),
        target=tuple(alignments.held_out_target.tolist()),
        gradients=alignments.how,
    )


def _persistence(alignments: Sequence[Alignments]) -> tuple[tuple[float | None, ...], ...]:
    matrix = persistence(np.stack([each.mean_generic for each in alignments]))
    return tuple(
        tuple(value if np.isfinite(value) else None for value in row) for row in matrix.tolist()
    )


def _notes(seen: _Seen, settings: Settings, rule: Rule) -> tuple[str, ...]:
    """What a reader must know of how the numbers came about."""
    notes = []
    if rule.fitted_on and settings.sizes != rule.fitted_on.settings.sizes:
        notes.append(
            "the rule was fitted on diagnoses of other sizes ("
            + rule.fitted_on.settings.words
            + "), on which measures depend: its answers are a guess here"
        )
    if seen.displaced.mode == "central differences":
        notes.append(
            "the model has no forward mode: agreement with fine-tuning is by central differences, "
            "with a relative error of about 1e-3"
        )
    if not seen.matrix.by_document["target"]:
        notes.append(
            "the target rows are of one document: directions and rows of the reference matrix "
            "share it, and agree better than they would across documents"
        )
    if any(each.how == "one by one" for each in seen.alignments):
        notes.append("the model cannot be vectorised: gradients were computed one row at a time")
    if seen.cost.share > AFFORDABLE:
        notes.append(
            f"this cost {seen.cost.share:.1%} of a run, more than {AFFORDABLE:.0%}: lower "
            "--probe-rows and --batch-rows, or give fewer checkpoints"
        )
    return tuple(notes)
