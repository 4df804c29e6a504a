"""Which logged step a published number is read at."""

from __future__ import annotations

from enum import StrEnum


class Rule(StrEnum):
    """How a curve becomes one number."""

    last = "last"
    best = "best"


AS_TRAINED = {
    Rule.last: "the last logged step of each run",
    Rule.best: "the logged step at which the run's target validation loss is lowest; the set that "
    "chooses is the set that is reported, which flatters every method",
}
EQUAL_TIME = {
    Rule.last: "the last step logged within the budget",
    Rule.best: "the lowest loss logged within the budget; the set that chooses is the set that is "
    "reported, which flatters every method",
}
