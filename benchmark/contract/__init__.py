"""What every method must keep, as checks that anyone can run on any method.

`adaptbench check` and `tests/contract` run the same :data:`CHECKS` on one small self-made problem.
"""

from benchmark.contract.checks import CHECKS
from benchmark.contract.errors import ContractError
from benchmark.contract.findings import Finding, findings
from benchmark.contract.problem import Problem
from benchmark.contract.trial import Trial

__all__ = ["CHECKS", "ContractError", "Finding", "Problem", "Trial", "findings"]
