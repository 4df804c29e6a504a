"""What was submitted: one file a submission, from which its jobs can be found again."""

from __future__ import annotations

import getpass
import secrets
import socket
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from benchmark.core.config_file import load_json
from benchmark.core.files import write_atomically
from benchmark.core.frozen import Message
from benchmark.running.tracking import Tracker
from benchmark.study.environment import source_state
from slurm.profile import Profile


class Submission(Message):
    """One ``adaptbench submit`` or ``retry``.

    ``folder`` (in the cache) holds the code that runs, submitit's files and the logs; ``jobs``
    maps run ids to job ids (of an array task: ``ARRAY_TASK``) and is complete once ``submitted``;
    ``closing`` is the job that follows them all; ``track``: who is shown the runs' measurements.
    """

    name: str
    created: str
    user: str
    host: str
    profile: Profile
    commit: str
    dirty: bool
    folder: Path
    cache: Path
    jobs: dict[str, str] = Field(default_factory=dict)
    closing: str = ""
    track: Tracker | None = None
    submitted: bool = False


def new_submission(
    profile: Profile, cache: Path, study: str, track: Tracker | None = None
) -> Submission:
    """A submission of this user, from this machine, now, of the code that is running."""
    commit, dirty = source_state()
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    return Submission(
        name=name,
        created=now.isoformat(timespec="seconds"),
        user=getpass.getuser(),
        host=socket.gethostname(),
        profile=profile,
        commit=commit,
        dirty=dirty,
        folder=cache / "submissions" / study / name,
        cache=cache,
        track=track,
    )


def write_submission(results: Path, submission: Submission) -> None:
    """Publish a submission, or what has become of it."""
    write_atomically(_folder(results) / f"{submission.name}.json", submission.as_json())


def load_submissions(results: Path) -> dict[str, Submission]:
    """Every submission of a study by name, oldest first."""
    return {
        file.stem: load_json(file, Submission, "submission")
        for file in sorted(_folder(results).glob("*.json"))
    }


def _folder(results: Path) -> Path:
    return results / "submissions"
