"""Which runs' selections had collapsed at the end of training, for all that shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark.report.results.inputs import StudyResults
from benchmark.study.collapse import MARK, Selection, selection_of
from benchmark.study.metrics import WEIGHTS_ENTROPY
from benchmark.study.stages import STAGES

PLACE = ["model", "target", "method"]
RUN = [*PLACE, "seed"]
Run = tuple[str, str, str, int]
Place = tuple[str, str, str]


@dataclass(frozen=True)
class Collapsed:
    """Of one (model, target, method): the effective rows by seed of the collapsed selections.

    ``seeds``: how many there are that weigh rows.
    """

    seeds: int
    rows: dict[int, float]

    @property
    def share(self) -> str:
        """How many of the seeds have collapsed."""
        return f"{len(self.rows)} of {self.seeds} seed{'s' if self.seeds > 1 else ''}"


def selections(results: StudyResults) -> dict[Run, Selection]:
    """How sharply each run chose at the last evaluation of its training, where it weighs rows."""
    measured = results.measured
    if WEIGHTS_ENTROPY not in measured.columns:
        return {}
    training = measured[measured["stage"] == STAGES[0]].sort_values("step", kind="stable")
    last = training.drop_duplicates(RUN, keep="last")
    batch = results.study.training.batch
    found = {
        (str(model), str(target), str(method), int(seed)): selection_of(float(entropy), batch)
        for model, target, method, seed, entropy in zip(
            *(last[name] for name in (*RUN, WEIGHTS_ENTROPY)), strict=True
        )
    }
    return {run: selection for run, selection in found.items() if selection is not None}


def collapsed_places(results: StudyResults) -> dict[Place, Collapsed]:
    """The (model, target, method) of which some seed's selection collapsed."""
    found = selections(results)
    seeds = Counter(run[:3] for run in found)
    rows: dict[Place, dict[int, float]] = {}
    for run, selection in sorted(found.items()):
        if selection.collapsed:
            rows.setdefault(run[:3], {})[run[3]] = selection.effective_rows
    return {place: Collapsed(seeds[place], few) for place, few in rows.items()}


def collapse_rule(
    results: StudyResults, places: Mapping[Place, Collapsed], shown: Iterable[Place]
) -> list[str]:
    """What the mark means and whom of those ``shown`` it concerns; nothing if nobody."""
    several = len(results.study.models) > 1
    named = [
        f"{place[2]} on {place[1]}{f' ({place[0]})' if several else ''}: {places[place].share}, "
        f"{', '.join(f'{rows:,.1f}' for rows in places[place].rows.values())} rows"
        for place in shown
        if place in places
    ]
    if not named:
        return []
    return [
        f"{MARK}: the selection has collapsed: at the last evaluation of training its weights sit "
        "on fewer rows, exp(their entropy), than the "
        f"{results.study.training.batch:,} of a batch ({'; '.join(named)})"
    ]
