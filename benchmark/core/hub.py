"""Models and tokenisers of the Hugging Face hub: known, and loaded, by commit.

A name says nothing of what it means today. ``NAME@COMMIT`` is one that always means the same.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from benchmark.core.errors import UserError, one_line

COMMIT = "commit:"
"""Stands before a commit where digests of files stand for what lies on this machine."""

_PINNED = re.compile(r"([^@]+)@([0-9a-f]{40})")


def pinned(name: str, files: str) -> str:
    """``NAME@COMMIT`` if ``files`` is ``commit:COMMIT``; else the name."""
    return f"{name}@{files.removeprefix(COMMIT)}" if files.startswith(COMMIT) else name


def name_and_commit(name: str) -> tuple[str, str]:
    """What `pinned` has put together; without a commit, the branch that the hub calls the main."""
    found = None if Path(name).exists() else _PINNED.fullmatch(name)
    return (found[1], found[2]) if found else (name, "main")


def hub_commit(name: str, at: str) -> str:
    """``commit:`` and the commit that ``name`` means on this machine, for as long as it has it.

    The first time, the hub is asked, and its answer stays in the cache that all of its libraries
    share; only the configuration is fetched.

    Raises:
        UserError: there is no such name, or the hub cannot be asked; ``at`` begins the message.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError
    from huggingface_hub.file_download import repo_folder_name

    try:
        folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model")
        reference = folder / "refs" / "main"
        if not reference.is_file():
            with suppress(EntryNotFoundError):  # a tokeniser may lack it, and its commit is noted
                hf_hub_download(name, "config.json")
        return f"{COMMIT}{reference.read_text(encoding='utf-8').strip()}"
    except Exception as error:  # of any library between here and the hub
        said = "" if isinstance(error, FileNotFoundError) else f" ({one_line(error)})"
        raise UserError(
            f"{at}: {name!r} is no folder here, and of the hub it is not on this machine and "
            f"cannot be fetched{said}: give a folder, or fetch it where there is a connection "
            f"(hf download {name})"
        ) from error
