"""What a recommendation leaves behind: one validated JSON file for each (model, target, tier)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from benchmark.core.config_file import load_json
from benchmark.core.files import write_atomically
from benchmark.core.frozen import Frozen
from benchmark.diagnostic.recommend.features import Measured
from benchmark.study.records import Environment

FOLDER = "recommendation"


class Expected(Frozen):
    """What is expected of one method, in percent of pretraining's test loss; below 0 is better."""

    change: float
    """Expected change of the loss."""
    low: float
    """Lower end of its 90% interval."""
    high: float
    """Upper end of its 90% interval."""
    probability_best: float
    """That no other method of the menu, nor pretraining, has a lower loss."""
    regret: float
    """Expected loss above that of the best of the menu, 100 x log ratio."""


class Recommended(Frozen):
    """What to train for one end."""

    method: str
    """The recommended method; pretraining where no gain is above one seed's spread."""
    regret: float
    """Its expected regret, 100 x log ratio of losses."""
    no_difference: tuple[str, ...]
    """Methods of which the expected loss differs by less than one seed's spread."""
    why: str
    """In one sentence."""
    expected: dict[str, Expected]
    """By label, pretraining included."""


class RecommendationRecord(Frozen):
    """One recommendation: what was asked and measured, what follows, by which rule, made where."""

    schema_version: Literal[1] = 1
    """Version of this format."""
    study: str
    """Name of the study."""
    model: str
    """Name of the model in the study."""
    target: str
    """Name of the target in the study."""
    protocol: str
    """As in the records of the runs that are advised, with the budget that was asked for."""
    data: str
    """The data's ``fingerprint``, as in the records of those runs."""
    rule: str | None
    """File of the rule; None: the one that comes along."""
    fitted_on: str
    """What the rule was fitted on, in words."""
    measured: Measured
    """The measures and their cost."""
    outside: tuple[str, ...]
    """What lies outside of what the rule has seen, in words: with any, all below is a guess."""
    left_out: tuple[str, ...]
    """Methods of the study that the rule does not know."""
    ends: dict[str, Recommended]
    """``as_trained``, ``fine_tuned``, ``equal_flops``, as far as the rule knows them."""
    environment: Environment
    """Where and with what it was made."""

    @property
    def stem(self) -> str:
        """Name of its files."""
        return f"{self.model}-{self.target}-tier{self.measured.tier}"

    @property
    def share(self) -> float | None:
        """FLOPs of the measures over those of training the model once; None: not counted."""
        run = self.measured.run_flops
        return None if run is None else self.measured.cost.flops / run


def write_recommendation(folder: Path, record: RecommendationRecord) -> Path:
    """Publish a recommendation in a results folder, whole or not at all; its file."""
    file = folder / FOLDER / f"{record.stem}.json"
    write_atomically(file, record.model_dump_json(indent=1) + "\n")
    return file


def read_recommendation(file: Path) -> RecommendationRecord:
    """Read a recommendation back.

    Raises:
        UserError: it is damaged.
        FileNotFoundError: there is none.
    """
    return load_json(file, RecommendationRecord, "recommendation")
