"""What the commands say, and how they end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from benchmark.core.spelling import visible

console = Console()
messages = Console(stderr=True)


def show(line: str) -> None:
    """Print a line to standard output as it is."""
    console.print(visible(line), markup=False, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Print a message to standard error as it is."""
    messages.print(visible(message), markup=False, highlight=False, soft_wrap=True)


def say_written(files: Iterable[Path]) -> None:
    """Name the files that a command has written."""
    say("written: " + ", ".join(map(str, files)))


def fail(message: str, code: int) -> NoReturn:
    """Say why in one line and end with ``code``."""
    print(f"adaptbench: {visible(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(code)


def fail_interrupted() -> NoReturn:
    """End as an interrupted command does."""
    fail("interrupted; nothing is lost: run the same command to go on", 130)


@contextmanager
def interruptible() -> Iterator[None]:
    """One line instead of a traceback for Ctrl-C, and the same end for a TERM."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        fail_interrupted()
    finally:
        signal.signal(signal.SIGTERM, before)
