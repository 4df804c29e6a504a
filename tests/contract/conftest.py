"""One problem, and one trial of each method, for all tests of the contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from benchmark.api.baseline import Baseline
from benchmark.contract import Problem, Trial

MakeTrial = Callable[[type[Baseline]], Trial]


@pytest.fixture(scope="session")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return Problem(tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="session")
def trial(problem: Problem) -> MakeTrial:
    """The trial of a method, whose runs several checks share."""

    @cache
    def make(method: type[Baseline]) -> Trial:
        return Trial(method, problem)

    return make
