"""Which files a source is made of, which are left out and why, and what domain each gives.

Folders are searched recursively, links followed. A file's domain is the top-level sub-folder that
it lies in, or else its name without what tells the shards of one data set apart.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmark.core.errors import UserError
from benchmark.core.spelling import domain_name, spelled

TEXT, JSON, COLUMNS = (".txt",), (".jsonl", ".json"), (".parquet", ".arrow")
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
MOST_NAMES = 256
"""Files of one folder with more different names than this are one domain, that of the folder."""

EXAMPLES_SHOWN = 3
_METADATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
_HEXADECIMAL_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SHARD_MARKS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # Spark: part-00000-tid-8-UUID-1-c000.snappy
        rf"(?<=\d)(-tid-\d+)?-{_HEXADECIMAL_ID}(-\d+)*([-_.]c\d+)?(\.[a-z0-9]+)?$",
        r"(?<=\d)[-_.](?=[0-9a-f]*\d)[0-9a-f]{16,64}$",  # the hub: train-00000-of-00003-HASH
        r"[-_.]?\d+([-_.]of[-_.]\d+)?$",
    )
)


class LocalFile(NamedTuple):
    """A file and the domain that its place gives to its documents."""

    path: Path
    domain: str


@dataclass
class Listing:
    """The files to read, in order, and those that are left out: reason to paths."""

    files: list[LocalFile] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)

    def leave_out(self, path: Path | str, reason: str) -> None:
        """Remember that ``path`` is not read."""
        self.left_out.setdefault(reason, []).append(spelled(path))

    def notes(self) -> tuple[str, ...]:
        """What is left out, and which names are one domain: a line each."""
        notes = []
        for reason, paths in self.left_out.items():
            more = f" and {len(paths) - EXAMPLES_SHOWN:,} more" * (len(paths) > EXAMPLES_SHOWN)
            notes.append(f"not read, {reason}: {', '.join(paths[:EXAMPLES_SHOWN])}{more}")
        return (*notes, *self.merged)


def list_files(paths: tuple[Path, ...]) -> Listing:
    """The files behind ``paths``, folders expanded.

    Raises `UserError` if a path is missing, cannot be listed or is of no known kind, or if
    nothing is left to read.
    """
    listing = Listing()
    places = [place for path in paths for place in _expand(path, listing)]
    if len(paths) > 1:
        places = _once(places, listing)
    listing.files = list(_with_domains(places, listing))
    if not listing.files:
        names = ", ".join(spelled(path) for path in paths)
        there = "; ".join(["", *listing.notes()])
        raise UserError(f"files: no file in {names} ends in {endings()}{there}")
    return listing


def compression(path: Path | str) -> str:
    """The ending that says how a file is compressed; empty if it is not."""
    return _name_and_endings(path)[2]


def kind_of(path: Path | str) -> str:
    """The ending that says what a file holds, in lower case; empty if it is none that is read."""
    return _name_and_endings(path)[1]


def _name_and_endings(path: Path | str) -> tuple[str, str, str]:
    """Name without endings, ending of the kind, ending of the compression."""
    # Strings, since a folder may hold a hundred thousand files and paths are slow.
    whole = os.path.basename(path)  # noqa: PTH119
    stem, ending = os.path.splitext(whole)  # noqa: PTH122
    packed = ending.lower() if ending.lower() in COMPRESSIONS else ""
    if packed:
        stem, ending = os.path.splitext(stem)  # noqa: PTH122
    kind = ending.lower()
    known = kind in TEXT or kind in JSON or (kind in COLUMNS and not packed)
    return (stem, kind, packed) if known else (whole, "", packed)


def endings() -> str:
    """The endings that are read, for messages."""
    return f"{', '.join((*TEXT, *JSON, *COLUMNS))}, the first three also with {_either()}"


def _either() -> str:
    return f"{', '.join(COMPRESSIONS[:-1])} or {COMPRESSIONS[-1]}"


class _Place(NamedTuple):
    """A file, the folder that was asked for, and its sub-folder there, if it is in one."""

    path: Path
    folder: Path
    inner: str | None


def _expand(path: Path, listing: Listing) -> Iterator[_Place]:
    # Of os, since questions to a path fail for one too long, or in a folder closed to us.
    if os.path.isdir(path):  # noqa: PTH112
        # By parts, as paths compare: a folder comes where its name belongs among the files.
        for parts in sorted(_walk(path, listing)):
            file = path.joinpath(*parts)
            yield _Place(file, path, parts[0] if len(parts) > 1 else None)
    elif not os.path.exists(path):  # noqa: PTH110
        link = " (a link that leads nowhere)" if os.path.islink(path) else ""  # noqa: PTH114
        link = link or " (name the folder: all of its files are read)" * ("*" in str(path))
        raise UserError(f"files: {spelled(path)}: no such file or folder{link}")
    elif not kind_of(path):
        raise UserError(f"files: {spelled(path)}: unknown kind of file; valid endings: {endings()}")
    elif not path.is_file():
        raise UserError(f"files: {spelled(path)}: not a regular file; write its content to one")
    else:
        yield _Place(path, path.parent, None)


def _once(places: list[_Place], listing: Listing) -> list[_Place]:
    """Without the files that two of the paths lead to."""
    first: dict[str, _Place] = {}
    for place in places:
        if first.setdefault(os.path.realpath(place.path), place) is not place:
            listing.leave_out(place.path, "listed twice")
    return list(first.values())


def _walk(root: Path, listing: Listing) -> Iterator[tuple[str, ...]]:
    """Parts of every file to read below ``root``; each folder once, own ones before links."""
    waiting: list[tuple[str, ...]] = [()]
    linked: list[tuple[str, ...]] = []
    entered: set[tuple[int, int]] = set()
    while waiting or linked:
        parts = waiting.pop() if waiting else linked.pop(0)
        folder = root.joinpath(*parts)
        try:
            state = folder.stat()
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"{spelled(folder)}: cannot be listed: {error.strerror}") from error
        if (state.st_dev, state.st_ino) in entered:
            listing.leave_out(folder, "link to a folder that is read already")
            continue
        entered.add((state.st_dev, state.st_ino))
        saved = _saved_files(folder, {entry.name for entry in entries})
        for entry in entries:
            reason = _reason_to_leave_out(entry, saved)
            if reason:
                listing.leave_out(entry.path, reason)
            elif entry.is_dir():
                (linked if entry.is_symlink() else waiting).append((*parts, entry.name))
            else:
                yield (*parts, entry.name)


def _reason_to_leave_out(entry: os.DirEntry[str], saved: set[str] | None) -> str:
    if entry.name.startswith("."):
        return "hidden"
    try:
        if entry.is_dir():
            return ""
        regular = entry.is_file()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise UserError(f"{spelled(entry.path)}: cannot be read: {error.strerror}") from error
        return "link that leads nowhere"
    if not regular:
        return "link that leads nowhere" if entry.is_symlink() else "not a regular file"
    if entry.name in _METADATA or (saved is not None and entry.name == "state.json"):
        return "metadata of a data set"
    if not kind_of(entry.name):
        return "other ending"
    if saved is not None and entry.name.endswith(".arrow") and entry.name not in saved:
        return "no part of the saved data set (its state.json does not list it)"
    return ""


def _saved_files(folder: Path, names: set[str]) -> set[str] | None:
    """Arrow files of a data set written by ``save_to_disk``; None if the folder holds none."""
    if not {"state.json", "dataset_info.json"} <= names:
        return None
    try:
        state = json.loads((folder / "state.json").read_bytes())
        return {entry["filename"] for entry in state["_data_files"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _with_domains(places: list[_Place], listing: Listing) -> Iterator[LocalFile]:
    stems = [None if place.inner else _stem_domain(place.path) for place in places]
    names: dict[Path, set[str]] = {}
    for place, stem in zip(places, stems, strict=True):
        if stem is not None:
            names.setdefault(place.folder, set()).add(stem)
    crowded = {folder for folder, there in names.items() if len(there) > MOST_NAMES}
    counts = Counter(place.folder for place in places if not place.inner)
    listing.merged = [
        f"one domain, {_folder_domain(folder)!r}: the {counts[folder]:,} files in "
        f"{spelled(folder)}, which have more than {MOST_NAMES} different names; sub-folders would "
        f"be a domain each"
        for folder in sorted(crowded)
    ]
    for place, stem in zip(places, stems, strict=True):
        if stem is None:
            yield LocalFile(place.path, domain_name(place.inner or ""))
        elif place.folder in crowded:
            yield LocalFile(place.path, _folder_domain(place.folder))
        else:
            yield LocalFile(place.path, stem)


def _stem_domain(path: Path) -> str:
    """File name without endings and marks of a shard; the folder's name if nothing is left."""
    stem, _, _ = _name_and_endings(path)
    for mark in _SHARD_MARKS:
        stem = mark.sub("", stem)
    return domain_name(stem) if stem else _folder_domain(path.parent)


def _folder_domain(folder: Path) -> str:
    return domain_name(folder.resolve().name) or "files"
