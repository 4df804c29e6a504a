"""A rule: what each method is expected to gain, given measures, and what the rule has seen.

It holds the evidence that it was fitted on: a Gaussian process is its data and its kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from benchmark.core.config_file import load_config
from benchmark.core.errors import UserError, unknown
from benchmark.core.files import write_atomically
from benchmark.core.frozen import Frozen
from benchmark.core.strict_yaml import dump_yaml
from benchmark.diagnostic.recommend.features import (
    MEANINGS,
    RESTATED,
    VERSION,
    Measured,
    Setting,
    Tier,
    known_at,
)
from benchmark.diagnostic.recommend.fitted_on import FittedOn
from benchmark.diagnostic.recommend.regression import FEWEST, Kernel, Regression
from benchmark.diagnostic.recommend.scales import POOLED, Scale, standardise
from benchmark.report.results.inputs import REFERENCE

ENDS = {
    "as_trained": "as trained",
    "fine_tuned": "after fine-tuning",
    "equal_flops": "at equal FLOPs",
}
Gain = Annotated[float, Field(ge=-1000, le=1000)]
Spread = Annotated[float, Field(ge=0, le=1000)]
Correlation = Annotated[float, Field(ge=-1, le=1)]
HEADER = """\
# Gain of each method over pretraining, 100 x the log ratio of losses, by a Gaussian process on
# measures that are standardised: (value - centre) / spread. Written by `adaptbench recommend fit`.
"""


class Evidence(Frozen):
    """The cells that a rule was fitted on, a column for each thing known of them."""

    targets: tuple[str, ...]
    """Their targets."""
    sources: tuple[str, ...]
    """The corpora that these are from."""
    parameters: tuple[int, ...]
    """Of the models."""
    measures: dict[str, tuple[FiniteFloat, ...]]
    """By name, not standardised."""


class Predictor(Frozen):
    """The gain of one method at one end: a Gaussian process on standardised measures."""

    measures: tuple[str, ...] = Field(min_length=1)
    """Those that it rests on."""
    kernel: Kernel
    """How large its parts are."""
    gains: tuple[Gain | None, ...]
    """Of each cell of the evidence, 100 x log ratio of losses; null: it has none."""

    @model_validator(mode="after")
    def _knows_its_measures(self) -> Predictor:
        for name in self.measures:
            if name not in MEANINGS:
                raise ValueError(str(unknown("measure", name, MEANINGS)))
        if len(self.known) < FEWEST:
            raise ValueError(f"gains: {len(self.known)} are known, {FEWEST} are needed")
        return self

    @property
    def known(self) -> list[float]:
        """The gains that there are."""
        return [gain for gain in self.gains if gain is not None]

    @property
    def mean(self) -> float:
        """Their mean."""
        return fmean(self.known)


class End(Frozen):
    """The methods at one end of training."""

    predictors: dict[str, Predictor]
    """By label; pretraining's gain is 0."""
    correlation: dict[str, dict[str, Correlation]]
    """Of the methods' residuals, shrunk: cells in which one gains more, another does too."""
    seed_spread: dict[str, Spread | None]
    """Standard deviation of a gain over seeds; None: each cell had one seed."""
    best_on_average: str
    """The method with the highest mean gain, pretraining included."""

    @model_validator(mode="after")
    def _is_of_its_methods(self) -> End:
        labels = self.predictors.keys()
        if not labels or REFERENCE in labels:
            raise ValueError(f"predictors: of one method or more, {REFERENCE} not among them")
        for label in labels:
            if (
                label not in self.seed_spread
                or not labels <= self.correlation.get(label, {}).keys()
            ):
                raise ValueError(f"correlation, seed_spread: {label}: not of every method")
        return self


class SeenSetting(Frozen):
    """The least and the most of each number of a setting, and the task."""

    task: str
    """The study's task."""
    ranges: dict[str, tuple[FiniteFloat, FiniteFloat]]
    """By name: of the setting and of every measure."""


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
    evidence: Evidence
    """What it was fitted on."""
    ends: dict[str, End]
    """``as_trained``, ``fine_tuned``, ``equal_flops``."""

    @model_validator(mode="after")
    def _means_what_is_meant_now(self) -> AdviceRule:
        if self.features_version != VERSION:
            raise ValueError(
                f"features_version: the rule was fitted with measures of version "
                f"{self.features_version}, these are {VERSION}: fit it again"
            )
        if POOLED not in self.scales:
            raise ValueError(f"scales: {POOLED!r} is missing")
        if not self.ends:
            raise ValueError("ends: none is there")
        for name in self.ends:
            if name not in ENDS:
                raise ValueError(str(unknown("end", name, ENDS)))
        return self

    @model_validator(mode="after")
    def _has_its_evidence(self) -> AdviceRule:
        cells = len(self.evidence.targets)
        if set(self.evidence.sources) != set(self.fitted_on.sources):
            raise ValueError("evidence: sources: they are not those of fitted_on")
        measures = self.scales[POOLED].centre.keys()
        for name in (*Setting.model_fields, *measures):
            if name not in self.seen.ranges:
                raise ValueError(f"seen: ranges: {name!r} is missing")
        if unmeasured := (measures | self.seen.ranges.keys()) - known_at(self.tier):
            raise ValueError(f"tier {self.tier} has no measure {min(unmeasured)!r}")
        columns = {"sources": self.evidence.sources, "parameters": self.evidence.parameters}
        for name, column in {**columns, **self.evidence.measures}.items():
            if len(column) != cells:
                raise ValueError(f"evidence: {name}: {len(column)} of {cells} cells")
        for end, of in self.ends.items():
            for label, predictor in of.predictors.items():
                if len(predictor.gains) != cells:
                    raise ValueError(
                        f"ends: {end}: {label}: {len(predictor.gains)} gains of {cells} cells"
                    )
                for name in predictor.measures:
                    if name not in self.scales[POOLED].centre:
                        raise ValueError(f"scales: {POOLED}: measure {name!r} is missing")
                    if name not in self.evidence.measures:
                        raise ValueError(f"evidence: measure {name!r} is missing")
        return self

    @cached_property
    def regressions(self) -> dict[tuple[str, str], Regression]:
        """By end and label."""
        evidence = self.evidence
        columns = {
            name: [
                standardise(value, name, count, self.scales)
                for value, count in zip(values, evidence.parameters, strict=True)
            ]
            for name, values in evidence.measures.items()
        }
        sources, found = np.array(evidence.sources), {}
        for end, of in self.ends.items():
            for label, each in of.predictors.items():
                gains = np.array(each.gains, dtype=float)
                known = np.isfinite(gains)
                x = np.column_stack([columns[name] for name in each.measures])
                found[end, label] = Regression(each.kernel, x[known], gains[known], sources[known])
        return found

    def expected(
        self, end: str, label: str, standardised: Mapping[str, float]
    ) -> tuple[float, float, float]:
        """Expected gain, and scale and degrees of freedom of its Student's distribution."""
        regression = self.regressions[end, label]
        names = self.ends[end].predictors[label].measures
        x = np.array([[standardised[name] for name in names]])
        return float(regression.expected(x)[0]), float(regression.scale(x)[0]), regression.freedom

    def shares(self, end: str, label: str, standardised: Mapping[str, float]) -> dict[str, float]:
        """How much of the expected gain is owed to each measure not being at its mean."""
        names = self.ends[end].predictors[label].measures
        all_but_one = [{**standardised, name: 0.0} for name in names]
        gain = self.expected(end, label, standardised)[0]
        others = [self.expected(end, label, each)[0] for each in all_but_one]
        return {name: gain - other for name, other in zip(names, others, strict=True)}

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
        count, known = measured.setting.parameters, measured.known
        return {
            name: standardise(known[name], name, count, self.scales)
            for name in self.scales[POOLED].centre
        }

    def outside(self, measured: Measured) -> tuple[str, ...]:
        """What lies outside of what the rule has seen, in words: settings, then measures."""
        seen = self.seen
        found = []
        if measured.task != seen.task:
            found.append(f"task {measured.task} (seen: {seen.task})")
        values = {**measured.setting.model_dump(), **measured.known}
        for name, (low, high) in seen.ranges.items():
            if name in RESTATED:
                continue
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
    content = dump_yaml(rule.model_dump(mode="json"), width=99, compact=True)
    write_atomically(file, HEADER + content)
