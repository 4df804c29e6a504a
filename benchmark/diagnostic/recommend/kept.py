"""The measures of a finished study's targets, kept beside its records: rules need no text again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from benchmark.core.config_file import load_json
from benchmark.core.files import write_atomically
from benchmark.core.frozen import Frozen
from benchmark.diagnostic.recommend.features import VERSION, Measured, Tier
from benchmark.study.records import Environment, RunRecord

FOLDER = "measures"


class MeasuredTarget(Frozen):
    """The measures of one (model, target), and of which rows and runs they are."""

    model: str
    """Name of the model in the study."""
    target: str
    """Name of the target in the study."""
    data: str
    """The data's ``fingerprint``, as in the records of the runs."""
    protocol: str
    """As in the records of the runs."""
    features_version: int
    """Version of what measures mean."""
    measured: Measured | None
    """The measures and their cost; None: it cannot be measured."""
    why: str = ""
    """Why not."""
    environment: Environment
    """Where and with what they were made."""

    def is_of(self, record: RunRecord) -> bool:
        """Whether they are of the rows and the protocol of a run, and mean what they mean now."""
        made = (self.data, self.protocol, self.features_version)
        return made == (record.data["fingerprint"], record.protocol, VERSION)


class KeptMeasures(Frozen):
    """The content of a study's file of measures."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    targets: tuple[MeasuredTarget, ...]
    """Those that have been measured."""


def _file(results: Path, tier: Tier) -> Path:
    return results / FOLDER / f"tier{tier}.json"


def read_measures(results: Path, tier: Tier) -> tuple[MeasuredTarget, ...]:
    """What a results folder keeps of a tier; nothing where no rule has been fitted to it.

    Raises:
        UserError: the file is damaged.
    """
    file = _file(results, tier)
    return load_json(file, KeptMeasures, "measures").targets if file.exists() else ()


def write_measures(results: Path, tier: Tier, targets: tuple[MeasuredTarget, ...]) -> None:
    """Publish the measures of a tier, whole or not at all."""
    kept = KeptMeasures(targets=targets)
    write_atomically(_file(results, tier), kept.model_dump_json(indent=1) + "\n")
