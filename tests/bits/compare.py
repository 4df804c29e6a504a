"""Whether this tree gives the same bits as another commit: ``python -m tests.bits.compare COMMIT``.

Both run every method of ``study.yaml`` on this machine, and both make tables, figures and reports
of the committed records. Run keys, losses, figures of the metrics and bills must be equal, and the
files byte by byte; commits, times and seconds are left out. Ends with 1 if anything differs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STUDY = Path(__file__).with_name("study.yaml")
MADE_FROM = ("published/mini", "published/planted", "diagnosis")
MOMENTARY = {"seconds", "commit", "dirty", "started", "finished", "memory_bytes"}
BEFORE = {"whitespace": "collapse", "near_duplicates": "keep"}
"""What there was before there was a choice."""


def main(commit: str) -> int:
    """Compare with ``commit``; the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        other, made = Path(folder) / "tree", Path(folder) / "made"
        worktree = ["git", "-C", ROOT, "worktree"]
        subprocess.run([*worktree, "add", "--quiet", "--detach", other, commit], check=True)
        try:
            theirs, ours = make_all(other, made / "theirs"), make_all(ROOT, made / "ours")
        finally:
            subprocess.run([*worktree, "remove", "--force", other], check=True)
        differences = list(different(theirs, ours))
    for line in differences:
        print(line)
    print(f"{len(differences)} differences from {commit}")
    return 1 if differences else 0


def make_all(tree: Path, folder: Path) -> Path:
    """The study's runs and all that is made of the committed records, by the code of ``tree``."""
    folder.mkdir(parents=True)
    for name in MADE_FROM:
        shutil.copytree(ROOT / "results" / name, folder / "committed" / Path(name).name)
    command(
        tree,
        folder,
        "run",
        _study_for(tree, folder),
        "--no-report",
        "--cache",
        folder.parent / "cache",
    )
    for name in MADE_FROM:
        for what in ("table", "plot", "report"):
            command(tree, folder, what, Path("committed") / Path(name).name)
    command(tree, folder, "rule", "score", "diagnosis", "--results", "committed")
    return folder


def _study_for(tree: Path, folder: Path) -> Path:
    """The study as code has it unasked that knows of no later choice."""
    text = STUDY.read_text(encoding="utf-8")
    known = (tree / "benchmark" / "data" / "config.py").read_text(encoding="utf-8")
    for key, before in BEFORE.items():
        if f"{key}:" in known:
            text = text.replace("\ndata:\n", f"\ndata:\n  {key}: {before}\n")
    file = folder / "study.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def command(tree: Path, folder: Path, *arguments: str | Path) -> None:
    """``adaptbench`` of the code in ``tree``."""
    subprocess.run(
        [sys.executable, "-P", "-m", "benchmark", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def different(theirs: Path, ours: Path) -> Iterator[str]:
    """What differs between two folders, a line each."""
    files = {file.relative_to(side) for side in (theirs, ours) for file in side.rglob("*.*")}
    for file in sorted(file for file in files if not (theirs / file).is_dir()):
        if not (theirs / file).exists() or not (ours / file).exists():
            yield f"{file}: only one of them has it"
        elif content(theirs / file) != content(ours / file):
            yield f"{file}: differs"


def content(file: Path) -> Any:
    """What of a file must be equal."""
    if file.suffix == ".jsonl":
        return [lasting(json.loads(line)) for line in file.read_text().splitlines()]
    return lasting(json.loads(file.read_text())) if file.suffix == ".json" else file.read_bytes()


def lasting(tree: Any) -> Any:
    """A tree without what depends on the moment."""
    if isinstance(tree, dict):
        return {key: lasting(value) for key, value in tree.items() if key not in MOMENTARY}
    return [lasting(value) for value in tree] if isinstance(tree, list) else tree


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
