"""Names as text that can be written anywhere: one rule for what UTF-8 cannot hold."""

from __future__ import annotations

import os
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

_SURROGATE = re.compile("[\ud800-\udfff]")
_STEERING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control signs but tabs and line ends, and those of bidirectional text."""
_FIRST_BYTE = 0xDC00
"""Python keeps a byte of a file name that is not UTF-8 as this plus the byte."""


def spelled(name: Path | str) -> str:
    r"""The name, bytes of a file name that are not UTF-8 as ``\xe9``, halves of characters as
    ``\ud800``."""
    text = os.fspath(name)
    return text if text.isascii() else _SURROGATE.sub(_escaped, text)


@lru_cache(maxsize=1 << 12)
def domain_name(name: str) -> str:
    """The name of a provenance domain: `spelled`, without NUL, composed as in most files (NFC).

    Two spellings of one letter look alike, and file systems keep either.
    """
    return unicodedata.normalize("NFC", spelled(name).replace("\0", ""))


def visible(text: str) -> str:
    """The text, signs that steer a terminal or turn the direction of writing by code number."""
    return text if text.isprintable() else _STEERING.sub(_numbered, text)


def _numbered(match: re.Match[str]) -> str:
    return f"[U+{ord(match.group()):04X}]"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    byte = code - _FIRST_BYTE
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else f"\\u{code:04x}"
