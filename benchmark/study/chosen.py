"""Hyper-parameters chosen by tuning: what ``adaptbench tune`` writes and what a study can name."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from benchmark.core.errors import UserError
from benchmark.core.frozen import Frozen
from benchmark.study.stages import Stage

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]

EVERY_TARGET = "*"
"""Stands for the target of values that are chosen once."""


class ChosenValues(Frozen):
    """The trial chosen for one method on one model and target.

    ``distinct_trials`` differed from each other (a small search space holds fewer than allowed);
    ``tuning_flops`` is the bill of all of them up to their last finished stage.
    """

    label: str
    """Label of the method in the study."""
    model: str
    """Name of the model in the study."""
    target: str
    """Name of the target in the study; ``*``: chosen for every target, on those of the study."""
    trial: Count
    """Number of the trial chosen; 0: the method as the study has it."""
    valid_loss: Annotated[float, Field(allow_inf_nan=False)]
    """Its loss on the target's valid rows, in nats a token."""
    distinct_trials: Count
    failed_trials: Count
    """How many of ``distinct_trials`` failed."""
    tuning_flops: Amount
    hyperparameters: dict[str, Any]
    """All the method's hyper-parameters in that trial."""

    @property
    def place(self) -> tuple[str, str, str]:
        """Model, target and method."""
        return self.model, self.target, self.label

    @property
    def where(self) -> str:
        """The place in words."""
        target = "every target" if self.target == EVERY_TARGET else self.target
        return f"{self.label} on {target} ({self.model})"


class Chosen(Frozen):
    """A file of chosen values, and how they were chosen.

    Draws depend on ``draw_seed``; every trial was trained with ``training_seed``.
    """

    study: str
    """Name of the study that was tuned."""
    rule: str
    """How a trial was chosen, in words."""
    stage: Stage
    """The stage after which valid losses were compared."""
    trials: Annotated[int, Field(gt=0)]
    """Trials allowed to each method on each model and target."""
    draw_seed: Count
    training_seed: Count
    chosen: Annotated[tuple[ChosenValues, ...], Field(min_length=1)]
    """One entry for each method on each model and target."""

    @field_validator("chosen")
    @classmethod
    def _places_differ(cls, rows: tuple[ChosenValues, ...]) -> tuple[ChosenValues, ...]:
        places = [row.place for row in rows]
        twice = next((row for row in rows if places.count(row.place) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice.where} is there twice")
        return rows

    def find(self, model: str, target: str, label: str, at: str = "") -> ChosenValues:
        """The values of a method on a model and target, else those for every target.

        Raises:
            UserError: there are none; says for what there are.
        """
        rows = {row.place: row for row in self.chosen}
        for known in (target, EVERY_TARGET):
            if (model, known, label) in rows:
                return rows[model, known, label]
        raise UserError(
            f"{at}chosen: no values for {label} on {target} ({model}), only for "
            f"{self._distinct('label')} on {self._distinct('target')} ({self._distinct('model')}): "
            "tune the study that has them"
        )

    def _distinct(self, field: str) -> str:
        return ", ".join(dict.fromkeys(getattr(row, field) for row in self.chosen))
