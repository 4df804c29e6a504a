"""Should this process be killed while it reads a user's data, somebody says what it was reading.

A crash inside a library, or the kernel for want of memory, ends a process before it can say
anything. A small process beside it listens, and speaks if it is cut off.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LISTENER = """
import sys
last, line = "", ""
for line in sys.stdin:
    last = line.rstrip("\\n") or last
if line != "\\n":
    sys.stderr.write(
        f"adaptbench: {last}: the process was killed while reading it, by a crash inside a library "
        "or for want of memory: see whether the file is damaged, or leave it out\\n"
    )
"""
_told: list[int] = []


@contextmanager
def obituary() -> Iterator[None]:
    """Inside, `now_reading` says what would be named."""
    # A session of its own: a Ctrl-C is for us.
    listener = subprocess.Popen(
        [sys.executable, "-S", "-c", _LISTENER],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace"},
    )
    assert listener.stdin is not None
    with listener:
        _told.append(listener.stdin.fileno())
        try:
            yield
        finally:
            _told.pop()
            with suppress(OSError):
                os.write(listener.stdin.fileno(), b"\n")


def now_reading(what: str) -> None:
    """Note what is being read from now on."""
    for descriptor in _told[-1:]:
        with suppress(OSError):
            os.write(descriptor, " ".join(what.split()).encode() + b"\n")
