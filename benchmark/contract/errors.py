"""How a broken promise is reported."""

from __future__ import annotations


class ContractError(Exception):
    """A method breaks its contract: which check says so, what was seen, what to do."""

    def __init__(self, method: str, check: str, seen: str, mend: str) -> None:
        super().__init__(f"{method}: {check}: {seen}; {mend}")
        self.method, self.check, self.seen, self.mend = method, check, seen, mend
