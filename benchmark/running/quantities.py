"""Times and sizes for a reader."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever is easiest to grasp."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def hours(seconds: float, device: str) -> str:
    """Hours of a processor's cores or of GPUs: two decimals, or two digits of what is less."""
    number = seconds / 3600
    shown = f"{number:.2f}" if number >= 0.1 else f"{number:.2g}"
    return f"{shown} {'GPU-hours' if device == 'cuda' else 'core-hours'}"


def size(number: float) -> str:
    """Bytes as kB, MB or GB."""
    if number < 1e6:
        return f"{number / 1e3:.0f} kB"
    return f"{number / 1e6:.0f} MB" if number < 1e9 else f"{number / 1e9:.1f} GB"
