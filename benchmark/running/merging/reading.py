"""One run of a colleague's, read from its two files and checked by itself."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from benchmark.core.config_file import explain
from benchmark.study.records import RunRecord
from benchmark.study.row_sample import KEY, check_sample
from benchmark.study.stages import STAGES


class RefusedError(Exception):
    """Why a record stays out."""


@dataclass(frozen=True)
class ForeignRun:
    """A run of the colleague's: its record, and the texts of its two files.

    A run that failed before its first measurement has no metrics.
    """

    record: RunRecord
    record_text: str
    metrics_text: str | None


def read_run(file: Path) -> ForeignRun:
    """The run of a ``record.json``, checked by itself.

    Raises:
        RefusedError: a file is not whole, or the record not true to its own spec.
    """
    text = _text(file)
    record = _parse(text)
    _require_own(record, file.parent.name)
    _require_figures(record)
    metrics_file = file.with_name("metrics.jsonl")
    if not (record.stages or metrics_file.exists()):
        return ForeignRun(record, text, None)
    metrics = _text(metrics_file)
    _require_metrics(metrics, record)
    return ForeignRun(record, text, metrics)


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise RefusedError(f"{file.name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RefusedError(f"{file.name}: not UTF-8 text (byte {error.start})") from error


def _parse(text: str) -> RunRecord:
    known = RunRecord.model_fields["schema_version"].default
    try:
        content = json.loads(text)
        version = content.get("schema_version", known) if isinstance(content, dict) else known
        if version != known:
            raise RefusedError(f"record.json: schema_version: {version!r} is not ours, {known}")
        return RunRecord.model_validate_json(text)
    except json.JSONDecodeError as error:
        raise RefusedError(f"record.json: not valid JSON: {error}") from error
    except ValidationError as error:
        raise RefusedError(explain(error, RunRecord, "record.json")) from error


def _require_own(record: RunRecord, folder: str) -> None:
    """A record's names and hashes follow from its spec, unless somebody has changed one."""
    spec = record.spec
    for name in ("key", "protocol", "run_id"):
        stated, true = getattr(record, name), getattr(spec, name)
        if stated != true:
            raise RefusedError(f"record.json: {name}: {stated!r} does not match the spec: {true}")
    if folder != record.run_id:
        raise RefusedError(f"the folder is not called as its run, {record.run_id}")


def _require_figures(record: RunRecord) -> None:
    """A run that is done has both stages; what a record states of losses are losses."""
    found = tuple(stage.stage for stage in record.stages)
    if found != STAGES[: len(found)] or (record.status == "done" and found != STAGES):
        raise RefusedError(
            f"record.json: stages: {', '.join(found) or 'none'} of a run that is {record.status}; "
            f"valid: {', '.join(STAGES)}"
        )
    for place, stage in enumerate(record.stages):
        for name in ("valid_loss", "test_loss", "generic_loss"):
            loss = getattr(stage, name)
            if not (math.isfinite(loss) and loss > 0):
                at = f"record.json: stages.{place}.{name}"
                raise RefusedError(f"{at}: must be positive and finite (got {loss})")


def _require_metrics(text: str, record: RunRecord) -> None:
    """Every line is a measurement, and the step that training ended with is among them."""
    steps = set()
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            content = json.loads(line)
            steps.add((content["stage"], content["step"]))
            float(content["valid_loss"])
            float(content["flops"])
            check_sample(content.get(KEY, []))
        except (json.JSONDecodeError, TypeError, KeyError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
            raise RefusedError(
                f"metrics.jsonl: line {number}: not a measurement ({problem})"
            ) from error
    for stage in record.stages:
        if stage.stage == STAGES[0] and (stage.stage, stage.step) not in steps:
            raise RefusedError(
                f"metrics.jsonl: lacks step {stage.step} of stage {stage.stage}, which "
                "record.json reports: the file is not whole"
            )
