"""Who is at work on a run, and how far: claims and heartbeats beside the run's record.

``runs/<run id>/attempts/<number>.claim.json`` is created once, by whoever dispatches the run, and
says by whom and how; ``<number>.state.json`` is its job's heartbeat. An attempt ends with the
state that its job wrote last, or by falling silent; then somebody may claim the next number, and
only one can. Nothing is deleted, so that the history of a run can be read.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from benchmark.core.config_file import load_json
from benchmark.core.files import write_atomically, write_once
from benchmark.core.frozen import Frozen
from benchmark.study.records import run_folder

Phase = Literal["running", "requeued", "stopped", "done", "failed", "out_of_memory", "cancelled"]


Kept = TypeVar("Kept", bound=Frozen)


class Claim(Frozen):
    """One attempt at a run: which submission made it, and what it asked for."""

    number: int
    submission: str
    memory_gb: float


class AttemptState(Frozen):
    """What an attempt's job said last.

    ``restarts``: deaths of its process that it has survived; ``seconds_per_step`` and ``step`` of
    ``of`` are those of the present stage.
    """

    phase: Phase
    reason: str = ""
    job: str = ""
    host: str = ""
    pid: int = 0
    stage: str = ""
    step: int = 0
    of: int = 0
    loss: float | None = None
    seconds_per_step: float | None = None
    restarts: int = 0


@dataclass(frozen=True)
class Attempt:
    """A claim, what its job said last (None: nothing yet), and when either was written."""

    claim: Claim
    state: AttemptState | None
    written: float


class Attempts:
    """The attempts at one run."""

    def __init__(self, results: Path, run_id: str) -> None:
        self.folder = run_folder(results, run_id) / "attempts"

    def claim(self, claim: Claim) -> bool:
        """Take the attempt ``claim.number``; False if somebody has it."""
        return write_once(self._file(claim.number, "claim"), claim.model_dump_json() + "\n")

    def say(self, number: int, state: AttemptState) -> None:
        """Publish the state of an attempt."""
        write_atomically(self._file(number, "state"), state.model_dump_json() + "\n")

    def count(self) -> int:
        """How many attempts there have been."""
        if not self.folder.exists():
            return 0
        return max((int(file.name.split(".")[0]) for file in self._claims()), default=0)

    def last(self) -> Attempt | None:
        """The newest attempt."""
        number = self.count()
        if number == 0:
            return None
        file = self._file(number, "claim")
        claim, written = load_json(file, Claim, "claim"), file.stat().st_mtime
        file = self._file(number, "state")
        if not file.exists():
            return Attempt(claim, None, written)
        return Attempt(
            claim, load_json(file, AttemptState, "state of an attempt"), file.stat().st_mtime
        )

    def _claims(self) -> list[Path]:
        return [
            f for f in self.folder.iterdir() if f.name.endswith(".claim.json") and f.name[0] != "."
        ]

    def _file(self, number: int, what: str) -> Path:
        return self.folder / f"{number}.{what}.json"


def file_system_time(folder: Path) -> float:
    """The time by the clock of ``folder``'s file system, which need not be this machine's."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock.") as probe:
        return Path(probe.name).stat().st_mtime
