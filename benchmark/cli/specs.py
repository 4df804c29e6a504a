"""The plain pretrainings that commands of the diagnostic look at, and their rows."""

from __future__ import annotations

from pathlib import Path

from benchmark.cli.messages import messages
from benchmark.core.errors import unknown
from benchmark.data import PreparedData, prepare
from benchmark.running.progress import StudyProgress
from benchmark.study.study import PRETRAINING, MethodEntry, RunSpec, Study


def pretraining_specs(
    study: Study, model: str | None, target: str | None, seed: int | None
) -> list[RunSpec]:
    """Plain pretraining of each (model, target) asked for, whatever the study's methods are.

    Raises:
        UserError: the study has no such model or target.
    """
    if model is not None and model not in study.models:
        raise unknown("model", model, study.models, at="--model: ")
    if target is not None and target not in study.targets:
        raise unknown("target", target, study.targets, at="--target: ")
    changes = {
        "methods": (MethodEntry(method=PRETRAINING),),
        "seeds": (study.seeds[0] if seed is None else seed,),
        "tuned": None,
    }
    runs = study.model_copy(update=changes).runs()
    return [
        run for run in runs if model in (None, run.model_name) and target in (None, run.target_name)
    ]


def prepared(spec: RunSpec, cache: Path) -> PreparedData:
    """The rows of a run, built if the cache does not have them."""
    with StudyProgress(messages) as progress:
        return prepare(spec.data, spec.target, cache, progress.building)
