"""What a run leaves behind: one validated JSON record, one metrics file; per study one frame.

``results/<study>/study.json`` lists the runs that make up the study now; each run has a folder
``results/<study>/runs/<run id>/`` with ``record.json`` and ``metrics.jsonl``. Every file is
written aside and renamed, so that a reader never sees half of one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from benchmark.core.config_file import load_json
from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically
from benchmark.core.frozen import Frozen
from benchmark.data.config import UNSAID
from benchmark.study.stages import Stage
from benchmark.study.study import RunSpec, Study

if TYPE_CHECKING:
    pass


class Cost(Frozen):
    """The bill of a method up to some point, everything it used included.

    ``flops``: floating-point operations (a multiply-add counts as two) of matrix products,
    convolutions and attention; ``seconds``: wall time without evaluation and checkpointing;
    ``examples``: rows trained on; ``target_passes``: rows drawn from the target sample, over
    its size; ``parts``: ``flops`` by what they were spent on.
    """

    flops: float = 0.0
    seconds: float = 0.0
    examples: int = 0
    target_passes: float = 0.0
    parts: dict[str, float] = Field(default_factory=dict)


class StageResult(Frozen):
    """Losses at the step that a stage's rule chose, in nats a token (or image), and the bill."""

    stage: Stage
    """``trained``: after the method's training; ``fine_tuned``: after the fine-tuning."""
    step: int
    """The step chosen, counted within the stage."""
    rule: str
    """How it was chosen, in words."""
    valid_loss: float
    """Loss on the target's valid rows."""
    test_loss: float
    """Loss on the target's test rows."""
    generic_loss: float
    """Loss on held-out generic rows, which measures forgetting."""
    cost: Cost
    """Bill of the run up to the end of the stage."""
    scores: dict[str, float] = Field(default_factory=dict, exclude_if=lambda found: not found)
    """Scores on the target's test rows beside the loss, by name; absent where the task has none."""


class Environment(Frozen):
    """Where and with what a run was made."""

    versions: dict[str, str]
    """Versions of Python, adaptbench and the packages it computes with."""
    commit: str
    """Git commit of the code, or its release where it lies in no repository."""
    dirty: bool
    """Whether the code differed from that commit."""
    host: str
    """Name of the machine."""
    processor: str
    """Model of its CPU."""
    device: str
    """``cpu`` or ``cuda``: where the model was trained."""
    threads: int
    """CPU threads of each process."""
    processes: int = 1
    """Processes that made the run together."""


class RunRecord(Frozen):
    """One run: what was asked, what came out, at what cost, made where."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    run_id: str
    """Name of the run's folder: model, target, label, seed and the start of ``key``."""
    key: str
    """Content hash of ``spec``: the same key means the same result."""
    protocol: str
    """Content hash of all that must be equal for runs to be compared."""
    spec: RunSpec
    """What was asked."""
    status: Literal["done", "failed"]
    """``done``; or ``failed``: a loss was not finite, or the method raised an error."""
    reason: str = ""
    """Why it failed, else empty."""
    failed_at_step: int | None = None
    """Step at which it failed, counted within the stage; None: it did not fail."""
    data: dict[str, Any]
    """``fingerprint``, a digest of the rows of all splits, and the keys of a data report."""
    parameters: int
    """Number of the main model's parameters."""
    initial_weights: str
    """SHA-256 of the main model's parameters before training."""
    stages: tuple[StageResult, ...]
    """Results of the stages that it finished, in order."""
    environment: Environment
    """Where and with what it was made."""
    started: str
    """When its process started, in UTC; of a run that was resumed, the last one."""
    finished: str
    """When it ended, in UTC."""
    central_differences: tuple[str, ...] = ()
    """Derivatives that this model gives by central differences, ``influence`` or
    ``hessian_product``; those not named, and all of a record that says nothing, are exact."""

    memory_bytes: int | None = None
    """Most that its process held in memory, of a resumed run the last one's; None: not measured."""
    device_memory_bytes: int | None = None
    """The same on its device; None: not measured, or the device is the CPU."""

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = dump(self)
        unused = {
            "central_differences": not self.central_differences,
            "memory_bytes": self.memory_bytes is None,
            "device_memory_bytes": self.device_memory_bytes is None,
        }
        return {name: value for name, value in content.items() if not unused.get(name)}


class _Ignoring(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Spent(_Ignoring):
    seconds: float


class _StageSummary(_Ignoring):
    cost: _Spent


class _DataSummary(_Ignoring):
    fingerprint: str


class _EnvironmentSummary(_Ignoring):
    device: str


class RunSummary(_Ignoring):
    """The little of a record that a sweep of thousands of runs needs to know of each."""

    status: Literal["done", "failed"]
    reason: str = ""
    data: _DataSummary
    parameters: int
    stages: tuple[_StageSummary, ...]
    environment: _EnvironmentSummary
    started: str
    finished: str
    memory_bytes: int | None = None
    device_memory_bytes: int | None = None


class StudyIndex(Frozen):
    """The study as it was last run, and the ids of its runs in order."""

    study: Study
    """The study, every hyper-parameter written out."""
    runs: tuple[str, ...]
    """Names of the runs' folders."""


def run_folder(results: Path, run_id: str) -> Path:
    """Folder of a run inside a study's results."""
    return results / "runs" / run_id


def metrics_file(results: Path, run_id: str) -> Path:
    """The measurements of a run, one JSON object a line, oldest first."""
    return run_folder(results, run_id) / "metrics.jsonl"


def write_record(results: Path, record: RunRecord) -> None:
    """Publish a finished run."""
    file = run_folder(results, record.run_id) / "record.json"
    write_atomically(file, record.model_dump_json(indent=1) + "\n")


def write_metrics(results: Path, run_id: str, lines: list[dict[str, Any]]) -> None:
    """Publish the measurements of a run so far, one JSON object a line."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_atomically(metrics_file(results, run_id), text)


def require_same_rows(results: Path, study: Study) -> None:
    """Refuse to replace a study by one of the same name that makes other rows by saying nothing.

    Study files from before there was a choice mean the older way and do not say so; without a word
    their finished runs would be left behind.

    Raises:
        UserError: naming what differs and what to do.
    """
    if not (results / "study.json").exists():
        return
    there, asked = read_index(results).study.data, study.data
    other = [key for key in UNSAID if getattr(there, key) != getattr(asked, key)]
    if not other:
        return
    keys = ", ".join(f"data.{key}" for key in other)
    theirs, ours = (
        ", ".join(f"{getattr(data, key)!r}" for key in other) for data in (there, asked)
    )
    lines = " and ".join(f"`{key}: {getattr(there, key)}`" for key in other)
    raise UserError(
        f"{results}: {keys}: the runs here were made with {theirs}, the study asks for {ours} "
        f"(the default of a study file): write {lines} under `data:` to go on with them, or give "
        f"the study another name"
    )


def write_index(results: Path, study: Study) -> None:
    """Note which runs make up the study now.

    Raises:
        UserError: the folder holds runs of other rows, or cannot be written.
    """
    require_same_rows(results, study)
    index = StudyIndex(study=study, runs=tuple(run.run_id for run in study.runs()))
    write_atomically(results / "study.json", index.model_dump_json(indent=1) + "\n")


def read_record(results: Path, run_id: str) -> RunRecord | None:
    """The record of a run, or None if it has not ended yet."""
    file = run_folder(results, run_id) / "record.json"
    return load_json(file, RunRecord, "record") if file.exists() else None


def read_summary(results: Path, run_id: str) -> RunSummary | None:
    """The summary of a run's record, or None if it has not ended yet."""
    file = run_folder(results, run_id) / "record.json"
    return load_json(file, RunSummary, "record") if file.exists() else None


def read_index(results: Path) -> StudyIndex:
    """The study that a results folder holds."""
    file = results / "study.json"
    if not file.exists():
        raise UserError(f"{file}: no results here; run the study first: adaptbench run STUDY")
    return load_json(file, StudyIndex, "study index")


def load_records(results: Path) -> list[RunRecord]:
    """Records of the study's present runs that have ended, in the study's order."""
    records = (read_record(results, run_id) for run_id in read_index(results).runs)
    return [record for record in records if record is not None]


def load_metrics(results: Path, run_id: str) -> list[dict[str, Any]]:
    """Measurements of a run, oldest first."""
    file = metrics_file(results, run_id)
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
