"""The code that runs is the code that was submitted: a copy of it, beside the job's files."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

from benchmark.core.files import write_atomically
from benchmark.study.environment import SNAPSHOT_FILE, source_state
from benchmark.study.method_files import SNAPSHOT_VARIABLE
from benchmark.study.study import RunSpec

PACKAGES = ("benchmark", "baselines", "slurm")


def take_snapshot(folder: Path, runs: list[RunSpec]) -> dict[str, str]:
    """Copy our packages and the method files of ``runs`` into ``folder``.

    Returns the environment in which Python takes them from there.
    """
    code, files = folder / "code", folder / "methods"
    for name in PACKAGES:
        source = Path(str(importlib.import_module(name).__file__)).parent
        shutil.copytree(source, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    commit, dirty = source_state()
    write_atomically(code / SNAPSHOT_FILE, json.dumps({"commit": commit, "dirty": dirty}) + "\n")
    files.mkdir()
    for entry in {run.method.code: run.method for run in runs if run.method.code}.values():
        shutil.copyfile(entry.method, files / f"{entry.code}.py")
    return {"PYTHONPATH": str(code), SNAPSHOT_VARIABLE: str(files)}
