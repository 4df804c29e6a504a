"""The cells of finished studies with their measures: what rules are fitted to and scored on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.errors import UnmeasurableError, UserError
from benchmark.diagnostic.recommend.features import VERSION, Tier
from benchmark.diagnostic.recommend.fitted_on import FittedOn
from benchmark.diagnostic.recommend.fitting import Cell
from benchmark.diagnostic.recommend.kept import MeasuredTarget, read_measures, write_measures
from benchmark.diagnostic.recommend.measuring import Measuring
from benchmark.diagnostic.recommend.outcomes import Finished, read_outcomes
from benchmark.study.study import PRETRAINING, MethodEntry

if TYPE_CHECKING:
    from benchmark.data import PreparedData
    from benchmark.study.records import RunRecord
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
) -> tuple[list[Cell], list[str]]:
    """Every outcome of the studies with its target's measures, and what is left out, in words.

    Measures that the study's results keep need no rows; the others are made now and kept there.
    Left out is what cannot be measured, such as a sample of one document, and targets of which
    pretraining has failed.

    Raises:
        UserError: the rows are not those of the runs; a kept file is damaged.
    """
    cells: list[Cell] = []
    left_out: list[str] = []
    for study in studies:
        left_out += (f"study {study.study!r}: {why}" for why in study.left_out)
        kept = {(each.model, each.target): each for each in read_measures(study.folder, tier)}
        found = dict(kept)
        for outcome in study.outcomes:
            spec = outcome.record.spec
            at = spec.model_name, spec.target_name
            if at not in kept or not kept[at].is_of(outcome.record):
                found[at] = _measured(outcome.record, tier, measuring, prepare)
            measured = found[at].measured
            if measured is None:
                left_out.append(f"study {study.study!r}: {found[at].why}")
                continue
            cells.append(
                Cell(
                    study=study.study,
                    source=outcome.source,
                    target=spec.target_name,
                    measured=measured,
                    gains=outcome.gains,
                    by_seed=outcome.by_seed,
                )
            )
        if found != kept:
            write_measures(study.folder, tier, tuple(found.values()))
    return cells, left_out


def _measured(
    record: RunRecord, tier: Tier, measuring: Measuring, prepare: Prepare
) -> MeasuredTarget:
    entry = MethodEntry(method=PRETRAINING)
    spec = record.spec.model_copy(update={"method": entry})
    data = prepare(spec)
    if data.fingerprint != record.data["fingerprint"]:
        raise UserError(
            f"{record.run_id}: trained on other rows (fingerprint "
            f"{record.data['fingerprint'][:8]}) than the sources give now "
            f"({data.fingerprint[:8]}): measure where the study was run, or run it again"
        )
    measured, why = None, ""
    try:
        measured = measuring.measure(spec, data, tier, record.parameters)
    except UnmeasurableError as error:
        why = str(error)
    return MeasuredTarget(
        model=spec.model_name,
        target=spec.target_name,
        data=data.fingerprint,
        protocol=record.protocol,
        features_version=VERSION,
        measured=measured,
        why=why,
        environment=measuring.environment,
    )


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
