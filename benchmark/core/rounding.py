"""Numbers as far as files hold them."""

from __future__ import annotations


def rounded(value: float, digits: int = 6) -> float:
    """The number to so many significant digits."""
    return float(f"{float(value):.{digits}g}")
