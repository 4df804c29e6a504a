"""The trials of equal tuning: as many for every method, drawn from its declared search space.

Trial 0 of a method is its entry as the study has it; in the others, every hyper-parameter that
has a declared search space and that the entry does not fix is drawn, by points of a scrambled
Sobol sequence: of few trials, too, none leaves half of a range untried. All trials train with one
seed that the study does not report.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from benchmark.core.config_file import explain
from benchmark.core.errors import UserError
from benchmark.core.randomness import generator
from benchmark.methods.registry import method_of
from benchmark.study.budget import TrainingConfig
from benchmark.study.study import MethodEntry, Study

if TYPE_CHECKING:
    from benchmark.api.baseline import Baseline, Choice, LogUniform

Values = dict[str, Any]

FIRST_TRAINING_SEED = 1000
MOST_DRAWS = 300
MOST_WITH_NUMBERS = MOST_DRAWS // 2
"""As many draws change choices alone, so that numbers stay spread over their ranges."""


def trial_study(study: Study, trials: int, seed: int) -> Study:
    """The study ``NAME.tune`` of the distinct trials of every method, labelled ``dds.t03``.

    Draws depend on the seed, the method, the trial and the hyper-parameter only: more trials
    leave the first ones as they are, and entries of one method have the same ones.

    Raises:
        UserError: there is nothing to tune, no draw is possible, or a name becomes too long.
    """
    if trials < 1:
        raise UserError(f"--trials: at least 1 is needed (got {trials})")
    if study.tuned is not None:
        raise UserError("tuned: the study has chosen values already: remove the key to tune it")
    if not any(_open_space(entry) for entry in study.methods):
        labels = ", ".join(entry.label for entry in study.methods)
        raise UserError(f"methods: nothing to tune, no search space is left open by {labels}")
    entries = [
        entry.model_copy(
            update={"label": trial_label(entry.label, trial), "hyperparameters": drawn}
        )
        for entry in study.methods
        for trial, drawn in _distinct_trials(entry, trials, seed, study.training)
    ]
    return _variant(
        study,
        study=f"{study.study}.tune",
        methods=[entry.model_dump(mode="json") for entry in entries],
        seeds=[_training_seed(study, seed)],
    )


def tuned_study(study: Study, file: Path) -> Study:
    """The study ``NAME.tuned`` that takes its hyper-parameters from ``file``.

    Raises:
        UserError: the name becomes too long.
    """
    return _variant(study, study=f"{study.study}.tuned", tuned=str(file))


def trial_label(label: str, trial: int) -> str:
    """How a trial of a method is called in the study of trials."""
    return f"{label}.t{trial:02d}"


def _variant(of: Study, **changes: Any) -> Study:
    try:
        return Study.model_validate({**of.model_dump(mode="json"), **changes})
    except ValidationError as error:
        problem = explain(error, Study)
        raise UserError(f"study {of.study} cannot be tuned: {problem}") from error


def _open_space(entry: MethodEntry) -> dict[str, Choice | LogUniform]:
    """The search space of what the entry does not fix."""
    space = method_of(entry).Hyperparameters.search_space()
    return {name: part for name, part in space.items() if name not in entry.hyperparameters}


def _training_seed(study: Study, seed: int) -> int:
    """The first seed from ``FIRST_TRAINING_SEED + seed`` on that the study does not report."""
    candidates = itertools.count(FIRST_TRAINING_SEED + seed)
    return next(candidate for candidate in candidates if candidate not in study.seeds)


def _distinct_trials(
    entry: MethodEntry, trials: int, seed: int, training: TrainingConfig
) -> Iterator[tuple[int, Values]]:
    """Number and hyper-parameters of the trials that differ from all earlier ones."""
    first = method_of(entry).Hyperparameters.model_validate(entry.hyperparameters)
    known = [first.model_dump(mode="json")]
    yield 0, known[0]
    space = _open_space(entry)
    for trial in range(1, trials if space else 1):
        new = _draw_new(entry, space, (seed, trial), training, known)
        if new is not None:
            known.append(new)
            yield trial, new


def _draw_new(
    entry: MethodEntry,
    space: Mapping[str, Choice | LogUniform],
    key: tuple[int, int],
    training: TrainingConfig,
    known: list[Values],
) -> Values | None:
    """Possible values that are not known yet; None if draws only repeat known ones."""
    method = method_of(entry)
    repeated, point = False, _point(method, key)
    for attempt in range(MOST_DRAWS):
        drawn = {}
        for name, part in space.items():
            if attempt == 0 or (attempt < MOST_WITH_NUMBERS and part.continuous):
                share = point[name]
            else:
                share = generator("tuning", *key, method.name, attempt, name).random()
            drawn[name] = part.at(share)
        try:
            settings = method.Hyperparameters.model_validate({**entry.hyperparameters, **drawn})
        except ValidationError:
            continue
        values = settings.model_dump(mode="json")
        if training.rows_scored(values) > training.big_batch:
            continue
        if values not in known:
            return values
        repeated = True
    if repeated:
        return None
    raise UserError(
        f"methods: {entry.label}: none of {MOST_DRAWS} draws of {', '.join(space)} is possible "
        f"with training.batch {training.batch} and training.big_batch {training.big_batch}: raise "
        "big_batch or fix hyper-parameters of the method"
    )


def _point(method: type[Baseline], key: tuple[int, int]) -> dict[str, float]:
    """The Sobol point of a (seed, trial): a share from 0 to 1 for each hyper-parameter."""
    from scipy.stats import qmc  # loads for seconds, and `adaptbench run` has no use for it

    seed, trial = key
    names = list(method.Hyperparameters.search_space())
    scramble = int(generator("tuning", seed, method.name).integers(1 << 62))
    (shares,) = qmc.Sobol(len(names), rng=scramble).fast_forward(trial).random()
    return dict(zip(names, shares, strict=True))
