"""Terminals that lack a sign: a substitute instead of an error."""

from __future__ import annotations

import codecs
import sys
import unicodedata

from benchmark.core.spelling import spelled

SUBSTITUTES = {
    "±": "+-",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "…": "...",
    "→": "->",
    "\N{MULTIPLICATION SIGN}": "x",
    "•": "*",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "“": '"',
    "”": '"',
    "\N{NO-BREAK SPACE}": " ",
}
HANDLER = "adaptbench.substitute"


def substitute(error: UnicodeError) -> tuple[str | bytes, int]:
    """What is printed for signs that the terminal's encoding lacks, as a handler of codecs.

    A plain sign that means the same, for a letter with an accent the letter, for lines of boxes a
    hyphen or a bar, for a byte of a file name its spelling, else the sign's code number.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def substitute_unknown_signs() -> None:
    """Let nothing printed from now on fail for the encoding of standard output or error."""
    codecs.register_error(HANDLER, substitute)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=HANDLER)


def _plain(sign: str) -> str:
    if sign in SUBSTITUTES:
        return SUBSTITUTES[sign]
    if (spelling := spelled(sign)) != sign:
        return spelling
    name = unicodedata.name(sign, "")
    if name.startswith("BOX DRAWINGS"):
        straight = "HORIZONTAL" in name and "VERTICAL" not in name and "AND" not in name.split()
        return "-" if straight else "|" if name.endswith("VERTICAL") else "+"
    letters = unicodedata.normalize("NFKD", sign)
    base = "".join(c for c in letters if not unicodedata.combining(c))
    return base if base and base.isascii() else f"[U+{ord(sign):04X}]"
