"""All that a report is made from: the study, its records and its measurements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.core.errors import UserError
from benchmark.report.results.seconds import untimed, with_step_times
from benchmark.study.frames import metrics_frame, study_frame
from benchmark.study.records import RunRecord, load_records, read_index
from benchmark.study.step_times import StudyTimes, read_times
from benchmark.study.study import PRETRAINING, Study
from benchmark.tasks import task_kind

REFERENCE = PRETRAINING
_TEXT = ("model", "target", "method", "stage")
# Stated, because a frame without rows would not know them.
_SHARED_TYPES = {**dict.fromkeys(_TEXT, "str"), "seed": "int64", "step": "int64"}
STAGE_TYPES = {
    **_SHARED_TYPES,
    **dict.fromkeys(("rule", "protocol", "commit"), "str"),
    **dict.fromkeys(("valid_loss", "test_loss", "generic_loss"), "float64"),
    **dict.fromkeys(("flops", "seconds", "target_passes"), "float64"),
    "examples": "int64",
    "dirty": "bool",
}
METRIC_TYPES = {**_SHARED_TYPES, **dict.fromkeys(("valid_loss", "flops", "seconds"), "float64")}


@dataclass(frozen=True)
class StudyResults:
    """A study as it stands now.

    ``planned``: a row for each run of the study, its ``status`` being done, failed or pending;
    ``stages``: a row for each run and stage that has a result; ``metrics``: a row for each
    evaluation of the runs that have ended; ``measured``: the same rows, with all that was recorded.
    ``times``: the step times that seconds of training are made of; None: they are those of the
    bills, as there are no step times or none of the methods ``untimed``.
    """

    study: Study
    records: tuple[RunRecord, ...]
    planned: pd.DataFrame
    stages: pd.DataFrame
    metrics: pd.DataFrame
    measured: pd.DataFrame
    times: StudyTimes | None = None
    untimed: tuple[str, ...] = ()

    @property
    def reference(self) -> str | None:
        """Label of the pretraining row, to which costs are compared; None if there is none."""
        labels = [entry.label for entry in self.study.methods if entry.method == REFERENCE]
        return REFERENCE if REFERENCE in labels else next(iter(labels), None)

    @property
    def baseline(self) -> str:
        """The method that others are pooled against: the reference, else the study's first."""
        return self.reference or self.methods[0]

    @property
    def methods(self) -> list[str]:
        """Labels of the methods in the study's order."""
        return [entry.label for entry in self.study.methods]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every (model, target) of the study, in its order."""
        return [(model, target) for model in self.study.models for target in self.study.targets]

    @property
    def pair_name(self) -> str:
        """What a (model, target) pair is called: with one model, a target."""
        return "target" if len(self.study.models) == 1 else "(model, target) pair"

    @property
    def loss_unit(self) -> str:
        """What losses are measured in."""
        per = task_kind(self.study.data).per
        of_bytes = per == "token" and self.study.data.tokenizer == "bytes"
        return "nats/byte" if of_bytes else f"nats/{per}"


def load_results(results: Path) -> StudyResults:
    """Read a study's results folder.

    Raises:
        UserError: the folder holds no study, or none of its runs has ended.
    """
    index = read_index(results)
    records = tuple(load_records(results))
    if not records:
        raise UserError(
            f"{results}: none of the {len(index.runs)} runs of study {index.study.study!r} "
            f"has ended yet: nothing to report; run it first: adaptbench run {index.study.study}"
        )
    stages = study_frame(results, records).reindex(columns=list(STAGE_TYPES)).dropna(subset="stage")
    stages = stages.astype(STAGE_TYPES).reset_index(drop=True)
    found = metrics_frame(results, records)
    columns = dict.fromkeys([*METRIC_TYPES, *found.columns])
    measured = found.reindex(columns=list(columns)).astype(METRIC_TYPES)
    times = read_times(results)
    missing = () if times is None else untimed(records, times)
    times = None if missing else times
    if times is not None:
        stages, measured = with_step_times(records, times, stages, measured)
    return StudyResults(
        study=index.study,
        records=records,
        planned=_planned_runs(index.study, index.runs, records),
        stages=stages,
        metrics=measured[list(METRIC_TYPES)],
        measured=measured,
        times=times,
        untimed=missing,
    )


def _planned_runs(
    study: Study, run_ids: tuple[str, ...], records: tuple[RunRecord, ...]
) -> pd.DataFrame:
    ended = {record.run_id: record for record in records}
    rows = []
    for spec, run_id in zip(study.runs(), run_ids, strict=True):
        record = ended.get(run_id)
        rows.append(
            {
                "model": spec.model_name,
                "target": spec.target_name,
                "method": spec.method.label,
                "seed": spec.seed,
                "status": record.status if record else "pending",
                "reason": record.reason if record else "",
                "failed_at_step": record.failed_at_step if record else None,
            }
        )
    return pd.DataFrame(rows)
