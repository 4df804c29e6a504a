"""All checks on one method, each with a line for a person to read."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.contract.checks import CHECKS
from benchmark.contract.errors import ContractError
from benchmark.contract.problem import Problem
from benchmark.contract.trial import Trial

if TYPE_CHECKING:
    from benchmark.api.baseline import Baseline


@dataclass(frozen=True)
class Finding:
    """What one check found: ``seen`` says what was there, or what is wrong and how to mend it."""

    check: str
    passed: bool
    seen: str


def findings(method: type[Baseline], problem: Problem) -> Iterator[Finding]:
    """Run every check on a method, one at a time."""
    trial = Trial(method, problem)
    for name, check in CHECKS.items():
        try:
            yield Finding(name, True, check(trial))
        except ContractError as error:
            yield Finding(name, False, f"{error.seen}; {error.mend}")
        except Exception as error:  # a bug of the method is a finding about it
            yield Finding(name, False, f"{type(error).__name__}: {error} ({_place(error, method)})")


def _place(error: Exception, method: type[Baseline]) -> str:
    """File and line where it went wrong, in the method's own file if it came by there."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == inspect.getsourcefile(method)]
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"
