"""The check of the hyper-parameters: what is out of range is refused, by key and valid range."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ValidationError

from benchmark.contract.errors import ContractError
from benchmark.contract.trial import Trial
from benchmark.core.config_file import explain

UNKNOWN = "no_such_setting"
EXTREMES = {int: (-(10**12), 10**12), float: (-1e300, 1e300)}
SAYS_WHAT_IS_VALID = ("should be", "must", "valid")


def check_hyperparameters(trial: Trial) -> str:
    """Bad values are refused with the key and the valid range; declared ones are accepted."""
    settings = trial.method.Hyperparameters
    for values in ({}, trial.method.Hyperparameters.for_checks, *_drawn(trial)):
        problem = _refusal(settings, values)
        if problem:
            raise _broken(trial, f"{dict(values)} is refused: {problem}", "widen the valid range")
    _require_refused(trial, (UNKNOWN,), 1, "derive from benchmark.api.baseline.Hyperparameters")
    fields = list(_fields(settings))
    for path, kinds in fields:
        _check_field(trial, path, kinds)
    return f"{len(fields)} settings"


def _check_field(trial: Trial, path: tuple[str, ...], kinds: set[Any]) -> None:
    if not kinds & {str, list, tuple, dict, Any}:
        _require_refused(trial, path, "no such choice", "give it a type")
    if float in kinds:
        _require_refused(trial, path, math.nan, "give it a range, as in Field(gt=0)")
    for number in kinds & set(EXTREMES):
        low, high = EXTREMES[number]
        accepted = not _refusal(trial.method.Hyperparameters, _nested(path, low))
        _require_refused(trial, path, high if accepted else low, "give it a range: Field(gt=0)")


def _require_refused(trial: Trial, path: tuple[str, ...], value: Any, mend: str) -> None:
    key = ".".join(path)
    problem = _refusal(trial.method.Hyperparameters, _nested(path, value))
    if not problem:
        raise _broken(trial, f"{key}: {value!r} is accepted", mend)
    if not problem.startswith(f"{key}: ") or not any(s in problem for s in SAYS_WHAT_IS_VALID):
        raise _broken(
            trial,
            f"{key}: {value!r} is refused with {problem!r}, which lacks the key or what is valid",
            "constrain the field itself: Field(gt=0, le=1) or Literal",
        )


def _drawn(trial: Trial) -> Iterator[dict[str, Any]]:
    """Values drawn from the declared search space of each setting."""
    for name, space in trial.method.Hyperparameters.search_space().items():
        for seed in range(8):
            yield {name: space.at(np.random.default_rng(seed).random())}


def _refusal(settings: type[BaseModel], values: Mapping[str, Any]) -> str:
    """The line that a user reads when these values are refused, empty when they are not."""
    try:
        settings.model_validate(values)
    except ValidationError as error:
        return explain(error, settings)
    return ""


def _fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, set[Any]]]:
    """The path of each setting, also of nested ones, and the types that it may have."""
    for name, field in model.model_fields.items():
        kinds = set(_kinds(field.annotation))
        nested = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        yield (*above, name), kinds
        for inner in nested:
            yield from _fields(inner, (*above, name))


def _kinds(annotation: Any) -> Iterator[Any]:
    """The alternatives of a type, without their constraints."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _kinds(arguments[0])
    elif origin is Literal or not arguments:
        yield origin or annotation
    elif isinstance(origin, type) and issubclass(origin, list | tuple | dict):
        yield origin
    else:
        for argument in arguments:
            yield from _kinds(argument)


def _nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    found: dict[str, Any] = value
    return found


def _broken(trial: Trial, seen: str, mend: str) -> ContractError:
    return ContractError(trial.method.name, "hyperparameters", seen, mend)
