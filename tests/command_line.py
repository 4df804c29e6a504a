"""The command ``adaptbench`` as tests call it."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.cli import messages
from benchmark.cli.app import COMMANDS, main

# A process that has loaded what commands load, of which calls are forked: Python and torch take
# seconds to start.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["torch", *(f"benchmark.cli.{name}" for name in COMMANDS)])


class CommandLine:
    """The real command in a process of its own, in a folder of its own.

    Calls are forked, unless a test changes the ``command`` or the ``environment``, or asks for a
    process that it can signal or measure (`start`).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.environment = {**os.environ, "ADAPTBENCH_CACHE": str(self.cache), "COLUMNS": "200"}
        self.command = [str(Path(sys.executable).with_name("adaptbench"))]
        self._usual = (dict(self.environment), list(self.command))

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        if (self.environment, self.command) == self._usual:
            return self._forked(*map(str, arguments))
        process = self.start(*arguments)
        out, err = process.communicate(timeout=200)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def _forked(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        outputs = [self.folder / f".std{name}" for name in ("out", "err")]
        process = _forks.Process(
            target=call, args=(arguments, self.folder, self.environment, outputs)
        )
        process.start()
        process.join(200)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, 200)
        out, err = (file.read_text(encoding="utf-8") for file in outputs)
        for file in outputs:
            file.unlink()
        return subprocess.CompletedProcess(arguments, process.exitcode, out, err)


def call(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    outputs: Sequence[Path],
) -> None:
    """What a fork does: the command, its standard output and error written to ``outputs``."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for stream, file in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    # Consoles took their width when they were loaded, before this environment was.
    messages.console.width = messages.messages.width = int(environment["COLUMNS"])
    sys.argv = ["adaptbench", *arguments]
    main()
