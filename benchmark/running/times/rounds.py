"""Methods that step in turn, and what their rounds say."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.core.parts import PARTS
from benchmark.running.times.phases import StepsByPhase, mean_step, recurring
from benchmark.study.step_times import OTHER, PhaseTimes, Spread

Turn = Mapping[str, Sequence[Mapping[str, Any]]]
"""Steps by phase, each with its ``seconds``, ``parts`` and ``flops``."""


@dataclass(frozen=True)
class Timed:
    """A method's turns, a round each, and its steps by phase."""

    phases: StepsByPhase
    turns: list[Turn]

    @property
    def steps(self) -> list[float]:
        """Seconds of a mean step in each round: the median of each phase, by its share."""
        return [
            mean_step(self.phases, {name: _seconds(turn[name]) for name in turn})
            for turn in self.turns
        ]

    def of_phases(self) -> dict[str, PhaseTimes]:
        """What the rounds say of each phase."""
        return {
            name: PhaseTimes(
                steps=len(steps),
                seconds=spread([_seconds(turn[name]) for turn in self.turns]),
                parts=self._parts(name),
                flops=statistics.median(
                    step["flops"] for turn in self.turns for step in turn[name]
                ),
            )
            for name, steps in recurring(self.phases).items()
        }

    def _parts(self, phase: str) -> dict[str, float]:
        """The median step, divided as the steps of all rounds are together."""
        steps = [step for turn in self.turns for step in turn[phase]]
        totals: defaultdict[str, float] = defaultdict(float)
        for step in steps:
            for part, seconds in step["parts"].items():
                totals[part] += seconds
        whole = sum(step["seconds"] for step in steps)
        totals[OTHER] = max(0.0, whole - sum(totals.values()))
        median = statistics.median(_seconds(turn[phase]) for turn in self.turns)
        return {part: median * totals[part] / whole for part in in_order(totals)}


def interleave(
    methods: Sequence[Callable[..., Turn]],
    product: Callable[[], float],
    rounds: int,
    hear: Callable[[int, int], None],
) -> tuple[list[list[Turn]], list[float]]:
    """Turns of each method, and the product's figures, one of each a round.

    A method is called with the ``number`` of the round. What else the machine does falls on all
    of them; each round begins with another one. ``hear(done, of)`` hears of turns.
    """
    turns: list[list[Turn]] = [[] for _ in methods]
    products = []
    for number in range(rounds):
        for turn in range(len(methods)):
            hear(number * len(methods) + turn, rounds * len(methods))
            place = (number + turn) % len(methods)
            turns[place].append(methods[place](number=number))
        products.append(product())
    return turns, products


def spread(values: Sequence[float]) -> Spread:
    """The quartiles of some values."""
    if len(values) == 1:
        return Spread(low=values[0], median=values[0], high=values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(low=low, median=median, high=high)


def in_order(parts: Mapping[str, float]) -> list[str]:
    """Names of parts: those that every step may have first, the rest last."""
    known = [part for part in PARTS if part in parts]
    own = [part for part in parts if part not in (*PARTS, OTHER)]
    return [*known, *own, *(part for part in (OTHER,) if part in parts)]


def _seconds(steps: Sequence[Mapping[str, Any]]) -> float:
    return float(statistics.median(step["seconds"] for step in steps))
