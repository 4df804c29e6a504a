"""Where and with what a run is made, and where things that are not results are kept."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmark import __version__
from benchmark.study.records import Environment

CACHE_VARIABLE = "ADAPTBENCH_CACHE"
SNAPSHOT_FILE = "snapshot.json"
"""Beside the packages of a copy of the source: its commit, and whether it differs from that."""
_PACKAGES = ("torch", "transformers", "datasets", "numpy", "safetensors", "scikit-learn")


def cache_folder(given: Path | None = None) -> Path:
    """The cache: ``given``, else the folder in ADAPTBENCH_CACHE, else one in the user's home."""
    if given is not None:
        return given.absolute()
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).absolute() if named else Path.home() / ".cache" / "adaptbench"


def describe(device: str, threads: int, processes: int = 1) -> Environment:
    """The environment of this process, one of ``processes`` that make a run."""
    commit, dirty = source_state()
    return Environment(
        versions={"python": platform.python_version(), "adaptbench": __version__, **_versions()},
        commit=commit,
        dirty=dirty,
        host=socket.gethostname(),
        processor=_processor(),
        device=device,
        threads=threads,
        processes=processes,
    )


def code_digest() -> str:
    """Digest of the installed source of benchmark and baselines."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    files = [file for name in ("benchmark", "baselines") for file in root.glob(f"{name}/**/*.py")]
    for file in sorted(files):
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def source_state() -> tuple[str, bool]:
    """Commit of the installed source and whether it differs from it; results do not count."""
    folder = Path(__file__).parents[1]
    snapshot = folder.parent / SNAPSHOT_FILE
    if snapshot.exists():
        state = json.loads(snapshot.read_text(encoding="utf-8"))
        return str(state["commit"]), bool(state["dirty"])
    code = ["benchmark", "baselines", "slurm", "pyproject.toml"]
    try:
        # An installed package may lie inside a repository that has nothing to do with it.
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder.parent, "status", "--porcelain", "--", *code)
    except (OSError, subprocess.CalledProcessError):
        return f"release {__version__}", False
    return commit, bool(changes)


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
