"""One problem, and one trial of each method, for all tests of the contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from benchmark.api.baseline import Baseline
from benchmark.contract import Problem, Trial

MakeTrial = Callable[..., Trial]


@pytest.fixture(scope="session")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return Problem(tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="session")
def trial(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> MakeTrial:
    """The trial of a method on a task, whose runs several checks share."""

    @cache
    def on(task: str) -> Problem:
        made = tmp_path_factory.mktemp(task)
        return problem if task == problem.task else Problem(made, task)

    @cache
    def make(method: type[Baseline], task: str = problem.task) -> Trial:
        return Trial(method, on(task))

    return make
