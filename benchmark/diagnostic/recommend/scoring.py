"""How good recommendations are on sources that the rule has not seen: arrays and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from benchmark.core.errors import UserError
from benchmark.diagnostic.recommend.advice import choose, forecast
from benchmark.diagnostic.recommend.features import Tier
from benchmark.diagnostic.recommend.fitted_on import FittedOn
from benchmark.diagnostic.recommend.fitting import Cell, fit_rule
from benchmark.diagnostic.recommend.regression import FEWEST
from benchmark.diagnostic.recommend.rule import ENDS, AdviceRule
from benchmark.diagnostic.recommend.scores import Foretold, score_rows
from benchmark.report.results.inputs import REFERENCE
from benchmark.study.study import MethodEntry

OPPONENTS = (REFERENCE, "mixing")
"""What is asked of a method is whether it gains more than these."""


@dataclass(frozen=True)
class Scored:
    """What was foretold, by end, and the ``scores`` of it: a row for each end, score and question.

    ``value``, ``low``, ``high``: the score and its 95% interval by a bootstrap over sources;
    ``base``: the share of cells with a yes, of questions, which count where neither answer is
    rare. ``least``, ``most``: the score without one source or another, of regret saved.
    """

    how: str
    foretold: dict[str, list[Foretold]]
    scores: pd.DataFrame
    left_out: list[str] = field(default_factory=list)


def score_left_out(
    cells: Sequence[Cell], menu: dict[str, MethodEntry], tier: Tier, on: FittedOn
) -> Scored:
    """Each source by a rule fitted to the others.

    Raises:
        UserError: there are not `FEWEST` sources more than one.
    """
    sources = sorted({cell.source for cell in cells})
    if len(sources) <= FEWEST:
        raise UserError(
            f"{', '.join(on.studies)}: {len(sources)} sources are too few to leave one out: "
            f"{FEWEST + 1} at least, and 40 to be of use"
        )
    found: dict[str, list[Foretold]] = {end: [] for end in ENDS}
    for source in sources:
        others = [cell for cell in cells if cell.source != source]
        rest = {name: of for name, of in on.sources.items() if name != source}
        fitted = replace_sources(on, rest, len(others))
        rule = fit_rule(others, menu, tier, fitted)
        for cell in cells:
            if cell.source == source:
                _foretell(rule, cell, found)
    return _scored(f"each of {len(sources)} sources by a rule fitted to the others", found)


def score_frozen(cells: Sequence[Cell], rule: AdviceRule) -> Scored:
    """The sources that a rule has not seen, by the rule as it is.

    Raises:
        UserError: it has seen them all.
    """
    seen = set(rule.fitted_on.sources)
    new = [cell for cell in cells if cell.source not in seen]
    if not new:
        raise UserError(
            f"--against: the rule was fitted on every source here ({', '.join(sorted(seen))}): "
            "score it on others, or leave --against out to leave one out at a time"
        )
    found: dict[str, list[Foretold]] = {end: [] for end in ENDS}
    for cell in new:
        _foretell(rule, cell, found)
    known = sorted({cell.source for cell in cells} & seen)
    how = f"{len({cell.source for cell in new})} sources that the rule had not seen"
    return replace(_scored(how, found), left_out=known)


def replace_sources(on: FittedOn, sources: dict[str, tuple[str, ...]], cells: int) -> FittedOn:
    """The same studies with fewer sources."""
    return on.model_copy(update={"sources": sources, "cells": cells})


def _foretell(rule: AdviceRule, cell: Cell, found: dict[str, list[Foretold]]) -> None:
    standardised = rule.standardised(cell.measured)
    for name, end in rule.ends.items():
        gains = cell.gains.get(name, {})
        labels = tuple(label for label in end.predictors if label in gains)
        if not labels:
            continue
        said = forecast(rule, name, standardised, labels)
        low, high = said.bounds
        names, draws = said.with_reference
        chance = {
            (a, b): float((draws[:, i] > draws[:, j]).mean())
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if b in OPPONENTS and a != b and a != REFERENCE
        }
        expected = dict(zip(labels, said.expected.tolist(), strict=True))
        gain = {REFERENCE: 0.0, **{label: gains[label] for label in labels}}
        means = {REFERENCE: 0.0, **{label: end.predictors[label].mean for label in labels}}
        found[name].append(
            Foretold(
                cell=cell,
                gain=gain,
                expected=expected,
                low=dict(zip(labels, low.tolist(), strict=True)),
                high=dict(zip(labels, high.tolist(), strict=True)),
                mean=means,
                chance=chance,
                chosen=choose(names, np.array([0.0, *said.expected]), end.seed_spread),
                usual=max(means, key=lambda label: means[label]),
            )
        )


def _scored(how: str, found: dict[str, list[Foretold]]) -> Scored:
    rows = [row for end, some in found.items() if some for row in score_rows(end, some)]
    return Scored(how, {end: some for end, some in found.items() if some}, pd.DataFrame(rows))
