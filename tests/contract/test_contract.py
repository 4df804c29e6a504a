"""Every check on every registered method and task, those of installed packages included."""

from __future__ import annotations

import pytest

from benchmark.contract import CHECKS
from benchmark.core.tasks import LANGUAGE_MODELLING, find_task, task_names
from benchmark.methods.registry import methods
from tests.contract.conftest import MakeTrial


def able(method: str, task: str) -> bool:
    """Whether the method can read rows of the task."""
    settings = methods()[method].Hyperparameters
    wanted = settings.model_validate(settings.for_checks).reads()
    return not wanted or bool(wanted & find_task(task).reads)


PLACES = [
    pytest.param(method, task, marks=[] if task == LANGUAGE_MODELLING else pytest.mark.long)
    for task in task_names()
    for method in methods()
    if able(method, task)
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("method", "task"), PLACES)
def test_method_keeps_the_contract(trial: MakeTrial, method: str, task: str, check: str) -> None:
    CHECKS[check](trial(methods()[method], task))


def test_methods_of_words_are_not_for_images() -> None:
    unable = {method for method in methods() if not able(method, "images")}
    assert unable == {"dsir", "moore_lewis", "classifier_filter"}
    assert all(able(method, "translation") for method in methods())
