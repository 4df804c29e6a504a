"""Every check on every registered method, those of installed packages included."""

from __future__ import annotations

import pytest

from benchmark.contract import CHECKS
from benchmark.methods.registry import methods
from tests.contract.conftest import MakeTrial


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("method", methods())
def test_method_keeps_the_contract(trial: MakeTrial, method: str, check: str) -> None:
    CHECKS[check](trial(methods()[method]))
