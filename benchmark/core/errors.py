"""Errors written for the person who reads them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """Something that the user can mend; shown as one line, without a traceback.

    The message names the file, the key, the bad value, the valid choices and what to do,
    as far as each of them exists.
    """


class UnmeasurableError(UserError):
    """These rows or this model do not have what was asked for, however often it is asked."""


def where(file: Path | str | None, key: str | None = None) -> str:
    """``FILE: key: `` prefix of a message, leaving out what is not known."""
    parts = [str(part) for part in (file, key) if part]
    return ": ".join(parts) + ": " if parts else ""


def unknown(kind: str, value: object, choices: Iterable[str], *, at: str = "") -> UserError:
    """The error for a name that is not one of ``choices``, with the closest choice first."""
    names = sorted(choices)
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return UserError(f"{at}unknown {kind} {value!r}{hint}; valid: {', '.join(names)}")


def one_line(error: BaseException, longest: int = 240) -> str:
    """What another library's exception says, on one line of at most ``longest`` characters."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= longest else said[: longest - 3] + "..."
