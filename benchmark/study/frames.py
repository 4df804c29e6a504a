"""The records of a study as frames."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.study.records import RunRecord, load_metrics, load_records
from benchmark.study.study import RunSpec

if TYPE_CHECKING:
    import pandas as pd


def study_frame(results: Path, records: Iterable[RunRecord] | None = None) -> pd.DataFrame:
    """The study as one tidy frame: a row for each run and stage (a failed run has one row).

    ``records``: those of the folder, where they have been read already.
    """
    import pandas as pd

    rows = []
    for record in load_records(results) if records is None else records:
        shared = {
            **_cell(record.spec),
            "status": record.status,
            "reason": record.reason,
            "run_id": record.run_id,
            "protocol": record.protocol,
            "commit": record.environment.commit,
            "dirty": record.environment.dirty,
        }
        for stage in record.stages:
            figures = stage.model_dump(exclude={"cost"})
            bill = stage.cost.model_dump(exclude={"parts"})
            rows.append({**shared, **figures, **bill})
        if not record.stages:
            rows.append(shared)
    return pd.DataFrame(rows)


def metrics_frame(results: Path, records: Iterable[RunRecord] | None = None) -> pd.DataFrame:
    """All measurements of the study: a row for each run, stage and evaluated step.

    ``records``: as of `study_frame`.
    """
    import pandas as pd

    rows = []
    for record in load_records(results) if records is None else records:
        lines = load_metrics(results, record.run_id)
        rows += [{**_cell(record.spec), **line} for line in lines]
    return pd.DataFrame(rows)


def _cell(spec: RunSpec) -> dict[str, str | int]:
    """The columns that say which run of a study a row is of."""
    return {
        "model": spec.model_name,
        "target": spec.target_name,
        "method": spec.method.label,
        "seed": spec.seed,
    }
