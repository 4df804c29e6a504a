"""What a rule was fitted on, for its file and its readers."""

from __future__ import annotations

from benchmark.core.frozen import Frozen

NAMED = 3
"""More studies than these are told by the first and the last."""


class FittedOn(Frozen):
    """The finished studies that a rule was fitted on."""

    studies: tuple[str, ...]
    """Their names."""
    commits: tuple[str, ...]
    """Commits of their runs' code."""
    sources: dict[str, tuple[str, ...]]
    """The corpora that targets are built from, with these."""
    seeds: tuple[int, ...]
    """Seeds of the runs."""
    runs: int
    """How many runs the studies have, those of targets that are left out included."""
    cells: int
    """(model, target) pairs that were fitted to, over the seeds of which gains are means."""

    @property
    def words(self) -> str:
        """For a reader of a recommendation."""
        names = ", ".join(self.studies)
        if len(self.studies) > NAMED:
            names = f"{len(self.studies)} studies, {self.studies[0]} to {self.studies[-1]}"
        return (
            f"{len(self.sources)} sources and {self.cells} cells, of {self.runs:,} runs of {names}"
        )
