"""What a diagnosis leaves behind: one validated JSON file for each (model, target, seed)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import Field

from benchmark.core.config_file import load_json
from benchmark.core.errors import UserError
from benchmark.core.files import write_atomically
from benchmark.core.frozen import Frozen
from benchmark.diagnostic.matrix import ReferenceMatrix
from benchmark.diagnostic.settings import How, Mode, Settings
from benchmark.study.records import Cost, Environment


class Estimate(Frozen):
    """A value and its 95% bounds under resampling of target batches; None: undefined."""

    value: float | None
    """From all target batches."""
    low: float | None
    """Lower 95% bound."""
    high: float | None
    """Upper 95% bound."""

    @classmethod
    def of(cls, value: float, low: float, high: float) -> Estimate:
        """An estimate, NaN becoming None."""
        values = [number if math.isfinite(number) else None for number in (value, low, high)]
        return cls(value=values[0], low=values[1], high=values[2])


class Answer(Frozen):
    """A question of the rule: ``probability`` of a yes, expected ``gain`` (log ratio of losses).

    Both are None as long as the rule is not fitted.
    """

    text: str
    """The question, put as the statement whose probability is asked."""
    probability: Estimate | None
    gain: Estimate | None = None


class Verdict(Frozen):
    """What the rule says; ``status`` says whether it has been fitted, ``fitted_on`` on what.

    ``outside``: what of the study lies outside what the rule was fitted on, in words; with any, no
    answer has a probability.
    """

    status: str
    fitted_on: str | None
    answers: dict[str, Answer]
    """The answers, by the names of the rule's questions."""
    sentence: str
    """Which of four measures are clearly above zero, in words."""
    outside: tuple[str, ...] = ()
    """What of the study lies outside what the rule was fitted on, in words."""


class CheckpointRecord(Frozen):
    """One checkpoint: ``step`` of pretraining (None for a given file), SHA-256 of its ``weights``.

    ``measures``: by name; ``curve``: held-out alignment of the best 1, 2, ... generic rows;
    ``generic``, ``target``: alignment of each generic row and, with the batches that do not hold
    it, of each target row; ``gradients``: how the rows' gradients were computed.
    """

    label: str
    """Share of the training steps, or the name of the given file."""
    step: int | None
    weights: str
    measures: dict[str, Estimate]
    curve: tuple[float, ...]
    generic: tuple[float, ...]
    target: tuple[float, ...]
    gradients: How


class DiagnosisCost(Frozen):
    """What a diagnosis costs, and what share of the run that it advises on.

    ``bill``: of the diagnosis, pretraining not charged, as the run needs it anyway or others have
    made it; ``run_flops``: of training the main model once, the least that any run of the study
    pays (online selection pays more); ``share``: the bill's FLOPs over these.
    """

    bill: Cost
    run_flops: float
    share: float


class DiagnosisRecord(Frozen):
    """One diagnosis: what was asked, what was seen, what follows, at what cost, made where.

    ``persistence``: rank correlations between checkpoints, a row for each; ``displacement``: how
    the agreement with fine-tuning was computed; ``sample``: rows of the target's train sample;
    ``cheap``: predictors without gradients by name, for comparison.
    """

    schema_version: Literal[1] = 1
    """Version of this format."""
    study: str
    """Name of the study."""
    model: str
    """Name of the model in the study."""
    target: str
    """Name of the target in the study."""
    seed: int
    """Seed of the pretraining and of the diagnosis' own draws."""
    protocol: str
    """As in the records of the runs that the diagnosis is about."""
    data: str
    """The data's ``fingerprint``, as in the records of those runs."""
    sample: int
    downsampling: float
    """Generic rows offered at a step for each that is trained on."""
    settings: Settings
    """What the diagnosis was made with."""
    checkpoints: tuple[CheckpointRecord, ...]
    """What was seen at each checkpoint, oldest first."""
    persistence: tuple[tuple[float | None, ...], ...]
    displacement: Mode
    reference_matrix: ReferenceMatrix | None = Field(default=None, exclude_if=lambda m: m is None)
    """The paper code's alignment matrix; absent in records from before it was computed."""
    cheap: dict[str, float]
    notes: tuple[str, ...]
    """What a reader must know of how the numbers came about; often empty."""
    verdict: Verdict
    """What follows from the last checkpoint."""
    cost: DiagnosisCost
    """What the diagnosis cost."""
    environment: Environment
    """Where and with what it was made."""

    @property
    def stem(self) -> str:
        """Name of its files."""
        return f"{self.model}-{self.target}-s{self.seed}"

    @property
    def last(self) -> CheckpointRecord:
        """The checkpoint that the verdict is about."""
        return self.checkpoints[-1]


def write_diagnosis(folder: Path, record: DiagnosisRecord) -> Path:
    """Publish a diagnosis under ``folder``, whole or not at all; its file."""
    file = folder / f"{record.stem}.json"
    write_atomically(file, record.model_dump_json(indent=1) + "\n")
    return file


def read_diagnosis(file: Path) -> DiagnosisRecord:
    """Read a diagnosis back.

    Raises:
        UserError: there is none, or it is damaged.
    """
    try:
        return load_json(file, DiagnosisRecord, "diagnosis")
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; `adaptbench diagnose` writes one") from None
