"""What a diagnosis is made with, as opposed to on what."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from benchmark.core.errors import UserError
from benchmark.core.frozen import Frozen
from benchmark.diagnostic import defaults

Count = Annotated[int, Field(gt=0)]
Normalisation = Literal["cosine", "reference"]
How = Literal["vmap", "one by one"]
"""How gradients of single rows were computed."""
Mode = Literal["forward mode", "central differences"]
"""How derivatives along a direction were computed."""
FEWEST_BATCHES = 4
AFFORDABLE = 0.05
"""Share of the FLOPs of a run that a diagnosis may cost."""


class Settings(Frozen):
    """Sizes of a diagnosis; the defaults cost under 5% of a run of the study ``mini``.

    ``probe_rows`` generic rows; ``batches`` disjoint batches of ``batch_rows`` rows of the target
    sample; a fine-tuning of ``fine_tuning_steps`` on ``fine_tuning_rows`` rows each; ``splits`` of
    the batches into halves; ``resamples`` of the bootstrap.
    """

    probe_rows: Count = defaults.PROBE_ROWS
    batches: Count = defaults.BATCHES
    batch_rows: Count = defaults.BATCH_ROWS
    fine_tuning_steps: Count = defaults.FINE_TUNING_STEPS
    fine_tuning_rows: Count = defaults.FINE_TUNING_ROWS
    normalisation: Normalisation = "cosine"
    """``cosine``: alignments are cosines of gradients; ``reference``: a row's gradient is not
    divided by its norm but weighted by the row's share of tokens, as in the public code of arXiv
    2311.11973.
    """
    parts: tuple[str, ...] = Field(default=(), exclude_if=lambda parts: not parts)
    """Beginnings of parameters' names, of which the reference matrix is told apart in its
    agreement with fine-tuning; none: the first word of each name."""
    splits: Count = 50
    resamples: Count = 200

    @property
    def target_rows(self) -> int:
        """Rows of the target sample in all batches together."""
        return self.batches * self.batch_rows

    @property
    def sizes(self) -> tuple[int | str, ...]:
        """All that the values of measures depend on."""
        return (
            self.probe_rows,
            self.batches,
            self.batch_rows,
            self.fine_tuning_steps,
            self.fine_tuning_rows,
            self.normalisation,
        )

    @property
    def words(self) -> str:
        """For a reader of a note."""
        return (
            f"{self.probe_rows} generic rows, {self.batches} batches of {self.batch_rows} target "
            f"rows, {self.normalisation}"
        )

    def require_rows(self, target: str, sample: int, generic: int) -> None:
        """Refuse sizes that the data cannot fill, or that cannot be split.

        Raises:
            UserError: naming the option, its value, and what would fit.
        """
        if self.batches < FEWEST_BATCHES:
            raise UserError(
                f"--batches: at least {FEWEST_BATCHES} are needed, two to each half (got "
                f"{self.batches})"
            )
        if self.target_rows > sample:
            raise UserError(
                f"targets.{target}.train: {sample} rows cannot be split into --batches "
                f"{self.batches} x --batch-rows {self.batch_rows} = {self.target_rows} rows: "
                f"lower either, or raise train"
            )
        if self.probe_rows < 2 * self.batches:
            raise UserError(
                f"--probe-rows: {self.probe_rows} rows are too few for the null, which takes "
                f"--batches {self.batches} batches from each half of them: give "
                f"{2 * self.batches} or more"
            )
        if self.probe_rows > generic:
            raise UserError(
                f"--probe-rows: {self.probe_rows} rows are more than the {generic} generic rows"
            )


def parse_at(text: str) -> tuple[float, ...]:
    """Shares of the training steps, increasing, from ``10%,30%,100%``.

    Raises:
        UserError: something else was given.
    """
    try:
        shares = tuple(float(part.strip().removesuffix("%")) / 100 for part in text.split(","))
    except ValueError:
        shares = ()
    rising = all(a < b for a, b in pairwise(shares))
    if not shares or not rising or not all(0 <= share <= 1 for share in shares):
        raise UserError(
            f"--at: {text!r} is no list of checkpoints; valid: rising percentages of the training "
            f"steps from 0% to 100%, such as {defaults.AT}"
        )
    return shares
