"""The cells of finished studies with their measures: what rules are fitted to and scored on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.errors import UserError
from benchmark.diagnostic.recommend.features import Tier
from benchmark.diagnostic.recommend.fitting import Cell
from benchmark.diagnostic.recommend.measuring import Measuring
from benchmark.diagnostic.recommend.outcomes import Finished, read_outcomes
from benchmark.diagnostic.recommend.rule import FittedOn
from benchmark.study.study import PRETRAINING, MethodEntry

if TYPE_CHECKING:
    from benchmark.data import PreparedData
    from benchmark.study.study import RunSpec

Prepare = Callable[["RunSpec"], "PreparedData"]


def read_studies(folders: Sequence[Path], targets: Sequence[str] = ()) -> tuple[Finished, ...]:
    """The finished studies in results folders.

    Raises:
        UserError: as of `read_outcomes`; or two folders hold studies of one name.
    """
    found = tuple(read_outcomes(folder, targets) for folder in folders)
    names = [each.study for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"STUDY: {twice[0]!r} is given twice: name each study once")
    return found


def measured_cells(
    studies: Sequence[Finished], tier: Tier, measuring: Measuring, prepare: Prepare
) -> list[Cell]:
    """Every outcome of the studies with its target's measures, computed now where not kept.

    Raises:
        UserError: the rows are not those of the runs; or as of `Measuring.measure`.
    """
    cells = []
    for study in studies:
        for outcome in study.outcomes:
            record = outcome.record
            entry = MethodEntry(method=PRETRAINING)
            spec = record.spec.model_copy(update={"method": entry})
            data = prepare(spec)
            if data.fingerprint != record.data["fingerprint"]:
                raise UserError(
                    f"{record.run_id}: trained on other rows (fingerprint "
                    f"{record.data['fingerprint'][:8]}) than the sources give now "
                    f"({data.fingerprint[:8]}): measure where the study was run, or run it again"
                )
            cells.append(
                Cell(
                    study=study.study,
                    source=outcome.source,
                    target=record.spec.target_name,
                    measured=measuring.measure(spec, data, tier, record.parameters),
                    gains=outcome.gains,
                    by_seed=outcome.by_seed,
                )
            )
    return cells


def fitted_on(studies: Sequence[Finished], cells: Sequence[Cell]) -> FittedOn:
    """What a rule on these cells has been fitted on."""
    sources = sorted({cell.source for cell in cells})
    return FittedOn(
        studies=tuple(study.study for study in studies),
        commits=tuple(sorted({commit for study in studies for commit in study.commits})),
        sources={
            name: tuple(dict.fromkeys(cell.target for cell in cells if cell.source == name))
            for name in sources
        },
        seeds=tuple(sorted({seed for study in studies for seed in study.seeds})),
        runs=sum(study.runs for study in studies),
        cells=len(cells),
    )
