"""Run the study files of a part, one after the other; what is done already is not done again.

    python results/atlas/run.py fit [JOBS]     # then `test`, once the rules are committed

Records go to results/atlas/atlas_NAME, a folder for each file, so that each can be committed alone.
A file that fails is named at the end and does not stop the others.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def command(file: Path, jobs: str) -> list[str]:
    """What runs one file."""
    options = ["--results", str(HERE.relative_to(Path.cwd())), "--jobs", jobs, "--no-report"]
    return [sys.executable, "-m", "benchmark", "run", str(file.relative_to(Path.cwd())), *options]


def main() -> None:
    """From the root of the repository, where the path of the chosen settings begins."""
    if len(sys.argv) < 2 or sys.argv[1] not in ("fit", "test"):
        sys.exit(f"usage: {sys.argv[0]} fit|test [JOBS]")
    part, jobs = sys.argv[1], (*sys.argv[2:], "2")[0]
    failed = []
    for file in sorted((HERE / "studies").glob(f"{part}_*.yaml")):
        print(file.stem, flush=True)
        if subprocess.run(command(file, jobs), check=False).returncode:
            failed.append(file.stem)
    if failed:
        sys.exit(f"not complete: {', '.join(failed)}")


if __name__ == "__main__":
    main()
