"""What the runs of finished studies gained over pretraining, at each end."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.core.errors import UserError, unknown
from benchmark.data.catalogue import load_catalogue
from benchmark.data.source import (
    AnySource,
    EmbeddedSource,
    FilesSource,
    HubSource,
    MixtureSource,
)
from benchmark.diagnostic.recommend.rule import ENDS
from benchmark.report.results.inputs import REFERENCE, StudyResults, load_results
from benchmark.report.results.summary import training_metrics
from benchmark.study.records import RunRecord
from benchmark.study.stages import BEST_STEP, STAGES
from benchmark.study.study import MethodEntry

CELL = ["model", "target", "seed"]
Gains = dict[str, dict[str, float]]
"""By end, then by label: 100 x log(loss of pretraining / loss of the method)."""


@dataclass(frozen=True)
class Outcome:
    """What the methods gained on one (model, target), each a mean over its seeds.

    ``record``: one of pretraining there; ``by_seed``: the gains of each seed; ``source``: the
    corpus that the target is built from.
    """

    study: str
    source: str
    record: RunRecord
    gains: Gains
    by_seed: tuple[Gains, ...]


@dataclass(frozen=True)
class Finished:
    """A study's ``outcomes``, its ``methods`` by label, and how many runs it has, of which code.

    ``folder``: of its results; ``left_out``: the targets of which pretraining has failed.
    """

    folder: Path
    study: str
    outcomes: tuple[Outcome, ...]
    methods: dict[str, MethodEntry]
    seeds: tuple[int, ...]
    runs: int
    commits: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def read_outcomes(folder: Path, targets: Sequence[str] = ()) -> Finished:
    """The outcomes of a results folder's study, of ``targets`` (none: all).

    ``as_trained`` and ``fine_tuned`` compare test losses at equal steps. ``equal_flops`` compares
    valid losses, as test is read once a stage: that of the method at the FLOPs of the whole
    pretraining, interpolated between evaluations; a method that spends these before its first
    evaluation has no gain there. Runs that have failed have none either.

    Raises:
        UserError: there is no such target, no pretraining, or a run is not finished.
    """
    results = load_results(folder)
    for name in targets:
        if name not in results.study.targets:
            raise unknown("target", name, results.study.targets, at="--targets: ")
    if REFERENCE not in results.methods:
        raise UserError(
            f"{folder}: study {results.study.study!r} has no run of {REFERENCE}, over which gains "
            f"are measured (got {', '.join(results.methods)}): add it to methods and run it"
        )
    chosen = tuple(targets) or tuple(results.study.targets)
    _require_finished(folder, results, chosen)
    losses = _losses(results)
    records = {
        (r.spec.model_name, r.spec.target_name): r
        for r in results.records
        if r.spec.method.label == REFERENCE and r.status == "done"
    }
    found = []
    for (model, target), record in records.items():
        if target in chosen:
            some = losses[(losses["model"] == model) & (losses["target"] == target)]
            by_seed = tuple(_gains(of_seed) for _, of_seed in some.groupby("seed"))
            source = source_name(record.spec.target.source)
            found.append(Outcome(results.study.study, source, record, _mean(by_seed), by_seed))
    if not found:
        raise UserError(f"{folder}: no run of {REFERENCE} on {', '.join(chosen)} has succeeded")
    ran = [r for r in results.records if r.spec.target_name in chosen]
    return Finished(
        folder=folder,
        study=results.study.study,
        outcomes=tuple(found),
        methods={entry.label: entry for entry in results.study.methods},
        seeds=tuple(results.study.seeds),
        runs=len(ran),
        commits=tuple(sorted({r.environment.commit for r in ran})),
        left_out=tuple(
            f"targets.{r.spec.target_name}: {REFERENCE} has failed, over which gains are measured"
            for r in ran
            if r.spec.method.label == REFERENCE
            and (r.spec.model_name, r.spec.target_name) not in records
        ),
    )


def source_name(source: AnySource) -> str:
    """What a target's text is from: parts and domains of one package or corpus have one name."""
    match source:
        case EmbeddedSource(embedded=name):
            return load_catalogue().corpora[name].package
        case MixtureSource(mixture=parts):
            sizes = (
                name if part.megabytes is None else f"{name} ({part.megabytes:g} MB)"
                for name, part in parts.items()
            )
            return f"mixture of {', '.join(sizes)}"
        case HubSource(dataset=name, data_files=files):
            return name if files is None else f"{name}: {', '.join(files)}"
        case FilesSource(files=paths):
            return ", ".join(sorted(map(str, paths)))
        case _:
            return json.dumps(source.model_dump(mode="json"), sort_keys=True)


def _require_finished(folder: Path, results: StudyResults, targets: Sequence[str]) -> None:
    planned = results.planned[results.planned["target"].isin(targets)]
    pending = planned[planned["status"] == "pending"]
    if len(pending):
        first = pending.iloc[0]
        raise UserError(
            f"{folder}: {len(pending)} of {len(planned)} runs are not finished (the first: "
            f"{first['method']} on {first['target']}, {first['model']}, seed {first['seed']}): "
            f"adaptbench run {results.study.study}, or name the targets that are, by --targets"
        )


def _losses(results: StudyResults) -> pd.DataFrame:
    """A row for each run and end: ``loss``, NaN where there is none."""
    runs = results.stages
    parts = [
        runs[runs["stage"] == stage].assign(end=end, loss=lambda frame: frame["test_loss"])
        for stage, end in zip(STAGES, ENDS, strict=False)
    ]
    training = training_metrics(results.metrics, runs).sort_values("step", kind="stable")
    ends = training[training["method"] == REFERENCE].groupby(CELL)["flops"].max()
    trained = runs[runs["stage"] == STAGES[0]]
    chosen = set(trained.loc[trained["rule"] == BEST_STEP, "method"])
    rows = []
    for (model, target, seed, method), curve in training.groupby([*CELL, "method"], sort=False):
        budget = ends.get((model, target, seed), math.nan)
        losses = curve["valid_loss"].to_numpy()
        if method in chosen:
            losses = np.minimum.accumulate(losses)
        loss = at_budget(curve["flops"].to_numpy(), losses, budget)
        rows.append((model, target, seed, method, "equal_flops", loss))
    columns = [*CELL, "method", "end", "loss"]
    return pd.concat([*(p[columns] for p in parts), pd.DataFrame(rows, columns=columns)])


def at_budget(flops: np.ndarray, losses: np.ndarray, budget: float) -> float:
    """The loss at a budget on a curve ``[k]`` of rising ``flops``, by linear interpolation.

    Its last where all of it is cheaper; NaN where all of it is dearer.
    """
    if not len(flops) or not budget >= flops[0]:
        return math.nan
    return float(np.interp(budget, flops, losses))


def _gains(losses: pd.DataFrame) -> Gains:
    """Of one seed: the methods' gains over pretraining, those that are finite."""
    found: Gains = {}
    for end, some in losses.groupby("end"):
        of = dict(zip(some["method"], some["loss"], strict=True))
        reference = of.pop(REFERENCE, math.nan)
        found[str(end)] = {
            label: 100 * math.log(reference / loss)
            for label, loss in of.items()
            if 0 < loss < math.inf and 0 < reference < math.inf
        }
    return found


def _mean(by_seed: Sequence[Gains]) -> Gains:
    """Means over the seeds that have a gain."""
    found: dict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for gains in by_seed:
        for end, of in gains.items():
            for label, gain in of.items():
                found[end][label].append(gain)
    return {
        end: {label: float(np.mean(each)) for label, each in of.items()}
        for end, of in found.items()
    }
