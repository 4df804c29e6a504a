"""Every check on every registered method, those of installed packages included."""

from __future__ import annotations

import pytest

from benchmark.api.registry import methods
from benchmark.contract import CHECKS
from tests.contract.conftest import MakeTrial


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("method", methods())
def test_method_keeps_the_contract(trial: MakeTrial, method: str, check: str) -> None:
    CHECKS[check](trial(methods()[method]))
