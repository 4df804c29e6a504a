"""Validated data out of files, YAML or JSON, and errors that name file, key and value."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from benchmark.core.errors import UserError, unknown, where
from benchmark.core.frozen import Message
from benchmark.core.strict_yaml import load_yaml
from benchmark.core.wording import place, problem, shown

Loaded = TypeVar("Loaded", bound=BaseModel)


def load_config(file: Path, model: type[Loaded], what: str) -> Loaded:
    """Read and validate a YAML file; ``what`` it is, for its reader.

    Raises:
        UserError: naming the file, the key, the bad value and what is valid.
    """
    try:
        content = load_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except ValueError as error:
        raise UserError(f"{file}: {error}") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{file}: {what} is a mapping with the keys {', '.join(model.model_fields)}"
        )
    try:
        loaded = model.model_validate(content)
    except ValidationError as error:
        raise UserError(explain(error, model, file, content)) from error
    require_numbers(content, loaded, file)
    return loaded


def require_numbers(content: Any, loaded: Any, file: Path | str | None = None) -> None:
    """Refuse true and false where they were taken for the numbers 1 and 0.

    ``loaded`` is what a validation made of ``content``.

    Raises:
        UserError: naming file, key and value.
    """
    key = _taken_for_number(content, loaded)
    if key is not None:
        at = where(file, ".".join(map(str, key[0])))
        raise UserError(f"{at}must be a number (got {shown(key[1])})")


def _taken_for_number(content: Any, loaded: Any) -> tuple[tuple[int | str, ...], bool] | None:
    """Keys that lead to the first true or false that became a number, and which of them."""
    if isinstance(content, bool):
        became = isinstance(loaded, int | float) and not isinstance(loaded, bool)
        return ((), content) if became else None
    for key, value in _entries(content):
        inner = getattr(loaded, key, None) if isinstance(loaded, BaseModel) else _at(loaded, key)
        found = _taken_for_number(value, inner)
        if found is not None:
            return (key, *found[0]), found[1]
    return None


def _entries(content: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(content, dict):
        return content.items()
    return enumerate(content) if isinstance(content, list | tuple) else ()


def _at(loaded: Any, key: Any) -> Any:
    if isinstance(loaded, dict):
        return loaded.get(key)
    inside = isinstance(loaded, list | tuple) and isinstance(key, int) and key < len(loaded)
    return loaded[key] if inside else None


def load_json(file: Path, model: type[Loaded], what: str) -> Loaded:
    """Read and validate a JSON file that this project wrote; ``what`` it is, for its reader.

    Raises:
        UserError: naming the file, what is wrong with it, and what to do.
        FileNotFoundError: there is none.
    """
    try:
        text = file.read_text(encoding="utf-8")
        if issubclass(model, Message):
            return model.from_json(text)
        return model.model_validate_json(text)
    except UnicodeDecodeError as error:
        found = f"not UTF-8 text (byte {error.start})"
    except json.JSONDecodeError as error:
        found = f"not JSON ({error})"
    except ValidationError as error:
        found = explain(error, model)
    raise UserError(f"{file}: not a valid {what}: {found}; remove it to redo")


def explain(
    error: ValidationError,
    model: type[BaseModel],
    file: Path | str | None = None,
    content: Any = None,
) -> str:
    """One line for the first problem of a validation: file, key, bad value, valid choices.

    ``content`` is what was validated, if it is at hand: keys are then named as it has them.
    """
    errors = error.errors(include_url=False)
    # Where a path or a mapping is wanted and a mapping is given, it is not a path that is missed.
    mapped = (e for e in errors if e["type"] != "path_type" or not isinstance(e["input"], dict))
    first = next(mapped, errors[0])
    if first["type"] == "missing":  # most often a key is missing because it has a typing error
        first = next((e for e in errors if _misspells(e, first)), first)
    key = ".".join(place(first["loc"], content, first["input"]))
    at = where(file, key)
    if first["type"] == "extra_forbidden":
        return str(unknown("key", first["loc"][-1], _fields_at(model, first["loc"][:-1]), at=at))
    if first["type"] == "missing":
        return f"{at}is missing"
    message = problem(first)
    if first["type"] == "model_type":
        message += f" with the keys {', '.join(_fields_at(model, first['loc']))}"
    if not key:
        return f"{at}{message}"
    return f"{at}{message} (got {shown(first['input'])})"


def _misspells(error: ErrorDetails, missing: ErrorDetails) -> bool:
    """Whether an unknown key lies where one is missing, and looks like it."""
    same_place = error["loc"][:-1] == missing["loc"][:-1]
    close = get_close_matches(str(error["loc"][-1:]), [str(missing["loc"][-1:])], n=1)
    return error["type"] == "extra_forbidden" and same_place and bool(close)


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that are valid at ``location`` inside ``model``."""
    models = [model]
    for part in location:
        # Among alternatives, pydantic names the one that it took by its class or by a key of it.
        named = [m for m in models if len(models) > 1 and part in {m.__name__, *m.model_fields}]
        holding = [m for m in models if part in m.model_fields]
        if named:
            models = named
        elif holding:
            annotation = holding[0].model_fields[str(part)].annotation
            candidates = [annotation, *_arguments(annotation)]
            models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
    return list(models[0].model_fields) if models else []


def _arguments(annotation: Any) -> list[Any]:
    nested = getattr(annotation, "__args__", ())
    return [leaf for inner in nested for leaf in (inner, *_arguments(inner))]
