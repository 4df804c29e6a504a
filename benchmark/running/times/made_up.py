"""Rows of random letters, on which a plan times steps where a run's own would take hours to build.

A step takes as long on them, since only shapes decide that; what a method prepares does not.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.core.tasks import LANGUAGE_MODELLING
from benchmark.data.listing import list_files
from benchmark.data.source import AnySource, FilesSource, HubSource, MixtureSource, NoiseSource
from benchmark.study.study import RunSpec

MOST_BYTES = 1 << 30
"""Of files whose rows a plan builds."""


def on_made_up_rows(run: RunSpec) -> RunSpec | None:
    """The run on made-up rows, as many as steps need; None: it is timed on its own.

    That is so of rows that are quickly built, and of tasks that made-up text is not for.
    """
    sources = (run.data.generic, run.target.source)
    if run.data.task != LANGUAGE_MODELLING or not any(map(_takes_long, sources)):
        return None
    target = run.target
    generic = run.training.big_batch + run.data.generic_valid
    sample = target.train + target.valid + target.test
    made_up = {"generic": _letters(generic, seed=0), "near_duplicates": "keep"}
    changes = {"source": _letters(sample, seed=1), "planted": None}
    return run.model_copy(
        update={
            "data": run.data.model_copy(update=made_up),
            "target": target.model_copy(update=changes),
        }
    )


def _letters(rows: int, seed: int) -> NoiseSource:
    """Documents of a row or more each, some of which may be too short or alike."""
    return NoiseSource(noise="letters", documents=rows + rows // 10 + 100, seed=seed)


def _takes_long(source: AnySource) -> bool:
    """Whether it is to be fetched from a hub, is not there, or is large."""
    match source:
        case HubSource():
            return True
        case FilesSource(files=paths):
            return not all(map(Path.exists, paths)) or _bytes(paths) > MOST_BYTES
        case MixtureSource(mixture=parts):
            return any(_takes_long(part.source) for part in parts.values())
        case _:
            return False


def _bytes(paths: tuple[Path, ...]) -> int:
    return sum(file.path.stat().st_size for file in list_files(paths).files)
