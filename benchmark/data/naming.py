"""Names of sources that are no corpus: which are meant as a path, and what is wrong with it."""

from __future__ import annotations

import os
import re
from pathlib import Path

_LIKE_A_PATH = re.compile(r"[/~*\\]|\.[A-Za-z0-9]{1,7}$")


def require_one_meaning(name: str, what: str, other: str) -> None:
    """Refuse a name that may be meant as a path; ``other``: what to write if it is not.

    Raises:
        ValueError: there is such a path.
    """
    if Path(name).exists():
        kind = "folder" if Path(name).is_dir() else "file"
        raise ValueError(
            f"{name!r} is an embedded {what} and also a {kind} here: write {other}, or "
            f"./{name} for the {kind}"
        )


def missing_path(name: Path | str) -> str:
    """What is wrong with a path that leads nowhere; empty if ``name`` is hardly meant as one."""
    text = str(name)
    if os.path.islink(text):  # noqa: PTH114 (of a path too long to be one, that is no question)
        return "is a link that leads nowhere"
    if not _LIKE_A_PATH.search(text):
        return ""
    if "://" in text:
        return "addresses are not fetched: fetch the file, or write {dataset: ...} for the hub"
    if "*" in text:
        return "patterns are not read as such: name the folder, whose files are all read"
    return "no such file or folder; paths are relative to where the command runs"
