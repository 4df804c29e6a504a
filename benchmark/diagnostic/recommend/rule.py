"""A rule: what each method is expected to gain, given measures, and what the rule has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from benchmark.core.config_file import load_config
from benchmark.core.errors import UserError, unknown
from benchmark.core.files import write_atomically
from benchmark.core.frozen import Frozen
from benchmark.core.strict_yaml import dump_yaml
from benchmark.diagnostic.recommend.features import MEANINGS, OF_MODEL, VERSION, Measured, Tier

ENDS = {
    "as_trained": "as trained",
    "fine_tuned": "after fine-tuning",
    "equal_flops": "at equal FLOPs",
}
POOLED = "all"
NAMED = 3
"""More studies than these are told by the first and the last."""
HEADER = """\
# Expected gain of each method over pretraining, 100 x the log ratio of losses, from measures that
# are standardised: (value - centre) / spread. Written by `adaptbench recommend fit`.
"""


class Scale(Frozen):
    """How measures are standardised: ``(value - centre) / spread``."""

    centre: dict[str, float]
    """Mean of each measure over the sources that the rule was fitted on."""
    spread: dict[str, float]
    """Standard deviation of each measure, above 0."""


class Predictor(Frozen):
    """The gain of one method at one end: ``intercept + sum of slope x standardised measure``."""

    intercept: float
    """Gain where every measure is at its centre, 100 x log ratio of losses."""
    slopes: dict[str, float]
    """By measure: gain for each standard deviation of it."""
    covariance: tuple[tuple[float, ...], ...]
    """Of the intercept and the slopes, in their order: what the fit does not know."""
    within: float = Field(ge=0)
    """Standard deviation of a cell around its source's mean."""
    between: float = Field(ge=0)
    """Standard deviation of sources around the regression."""
    freedom: float = Field(gt=0)
    """Degrees of freedom of Student's distribution of a prediction."""
    mean: float
    """Mean gain of the cells that it was fitted on."""
    cells: int
    """How many these were."""

    @model_validator(mode="after")
    def _fits_together(self) -> Predictor:
        size = 1 + len(self.slopes)
        if len(self.covariance) != size or any(len(row) != size for row in self.covariance):
            raise ValueError(f"covariance must be {size} x {size}, for the intercept and slopes")
        for name in self.slopes:
            if name not in MEANINGS:
                raise ValueError(str(unknown("measure", name, MEANINGS)))
        return self

    def __call__(self, standardised: Mapping[str, float]) -> tuple[float, float]:
        """Expected gain, and the scale of its distribution: the fit's, the source's, the cell's."""
        x = [1.0, *(standardised[name] for name in self.slopes)]
        coefficients = [self.intercept, *self.slopes.values()]
        expected = sum(a * b for a, b in zip(coefficients, x, strict=True))
        size = range(len(x))
        fit = sum(x[i] * self.covariance[i][j] * x[j] for i in size for j in size)
        return expected, math.sqrt(max(fit, 0.0) + self.within**2 + self.between**2)


class End(Frozen):
    """The methods at one end of training."""

    predictors: dict[str, Predictor]
    """By label; pretraining's gain is 0."""
    correlation: dict[str, dict[str, float]]
    """Of the methods' residuals, shrunk: cells in which one gains more, another does too."""
    seed_spread: dict[str, float | None]
    """Standard deviation of a gain over seeds; None: each cell had one seed."""
    best_on_average: str
    """The method with the highest mean gain, pretraining included."""


class SeenSetting(Frozen):
    """The least and the most of each number of a setting, and the task."""

    task: str
    """The study's task."""
    ranges: dict[str, tuple[float, float]]
    """By name: of the setting and of every measure."""


class FittedOn(Frozen):
    """The finished studies that a rule was fitted on."""

    studies: tuple[str, ...]
    """Their names."""
    commits: tuple[str, ...]
    """Commits of their runs' code."""
    sources: dict[str, tuple[str, ...]]
    """The corpora that targets are built from, with these."""
    seeds: tuple[int, ...]
    """Seeds of the runs."""
    runs: int
    """How many runs the studies have, those of targets that are left out included."""
    cells: int
    """(model, target) pairs that were fitted to, over the seeds of which gains are means."""

    @property
    def words(self) -> str:
        """For a reader of a recommendation."""
        names = ", ".join(self.studies)
        if len(self.studies) > NAMED:
            names = f"{len(self.studies)} studies, {self.studies[0]} to {self.studies[-1]}"
        return (
            f"{len(self.sources)} sources and {self.cells} cells, of {self.runs:,} runs of {names}"
        )


class AdviceRule(Frozen):
    """The content of a rule file of `adaptbench recommend`."""

    kind: Literal["recommendation"] = "recommendation"
    """Tells it from the rule of `adaptbench rule fit`."""
    tier: Tier
    """0: from the text alone; 1: from gradients too."""
    features_version: int
    """Version of what measures mean."""
    fitted_on: FittedOn
    """What it was fitted on."""
    methods: dict[str, str]
    """Registered name of the method behind each label."""
    seen: SeenSetting
    """Beyond it, the rule knows nothing."""
    scales: dict[str, Scale]
    """By parameters of the model; ``all``: for models that it has not seen."""
    ends: dict[str, End]
    """``as_trained``, ``fine_tuned``, ``equal_flops``."""

    @model_validator(mode="after")
    def _knows_its_measures(self) -> AdviceRule:
        if self.features_version != VERSION:
            raise ValueError(
                f"features_version: the rule was fitted with measures of version "
                f"{self.features_version}, these are {VERSION}: fit it again"
            )
        if POOLED not in self.scales:
            raise ValueError(f"scales: {POOLED!r} is missing")
        for name in self.ends:
            if name not in ENDS:
                raise ValueError(str(unknown("end", name, ENDS)))
        for end in self.ends.values():
            for predictor in end.predictors.values():
                for name in predictor.slopes:
                    if name not in self.scales[POOLED].centre:
                        raise ValueError(f"scales: {POOLED}: measure {name!r} is missing")
        return self

    def standardised(self, measured: Measured) -> dict[str, float]:
        """The measures on the rule's scale, those of gradients on the model's where it is known.

        Raises:
            UserError: they are of another tier.
        """
        if measured.tier != self.tier:
            raise UserError(
                f"--rule: fitted on measures of tier {self.tier}, asked with those of tier "
                f"{measured.tier}: give --tier {self.tier}, or a rule of the other"
            )
        own, pooled = self.scales.get(str(measured.setting.parameters)), self.scales[POOLED]
        found = {}
        for name in pooled.centre:
            scale = own if own is not None and name in OF_MODEL else pooled
            found[name] = (measured.values[name] - scale.centre[name]) / scale.spread[name]
        return found

    def outside(self, measured: Measured) -> tuple[str, ...]:
        """What lies outside of what the rule has seen, in words: settings, then measures."""
        seen = self.seen
        found = []
        if measured.task != seen.task:
            found.append(f"task {measured.task} (seen: {seen.task})")
        values = {**measured.setting.model_dump(), **measured.values}
        for name, (low, high) in seen.ranges.items():
            slack = 1e-9 * max(abs(low), abs(high))
            if not low - slack <= values[name] <= high + slack:
                words = name.replace("_", " ")
                value, least, most = map(_shown, (values[name], low, high))
                found.append(f"{words} {value} (seen: {least} to {most})")
        return tuple(found)


def _shown(value: float) -> str:
    """A count whole, another number as far as it matters."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.3g}"


def load_advice_rule(file: Path) -> AdviceRule:
    """Read and validate a rule file.

    Raises:
        UserError: naming the file, the key, the bad value and what is valid.
    """
    return load_config(file, AdviceRule, "a rule of `adaptbench recommend fit`")


def shipped_rule(tier: Tier) -> AdviceRule:
    """The rule that comes along, fitted to the fit part of the study atlas."""
    return load_advice_rule(shipped_file(tier))


def shipped_file(tier: Tier) -> Path:
    """Its file."""
    return Path(__file__).parent / "rules" / f"tier{tier}.yaml"


def write_advice_rule(file: Path, rule: AdviceRule) -> None:
    """Publish a rule as YAML."""
    write_atomically(file, HEADER + dump_yaml(rule.model_dump(mode="json"), width=99))
