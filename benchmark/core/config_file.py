"""Validated data out of files, YAML or JSON, and errors that name file, key and value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from benchmark.core.errors import UserError, unknown, where

Loaded = TypeVar("Loaded", bound=BaseModel)


def load_config(file: Path, model: type[Loaded], what: str) -> Loaded:
    """Read and validate a YAML file; ``what`` it is, for its reader.

    Raises:
        UserError: naming the file, the key, the bad value and what is valid.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{file}: not valid YAML: {problem}") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{file}: {what} is a mapping with the keys {', '.join(model.model_fields)}"
        )
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(explain(error, model, file)) from error


def load_json(file: Path, model: type[Loaded], what: str) -> Loaded:
    """Read and validate a JSON file that this project wrote; ``what`` it is, for its reader.

    Raises:
        UserError: naming the file, what is wrong with it, and what to do.
        FileNotFoundError: there is none.
    """
    try:
        return model.model_validate_json(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 text (byte {error.start})"
    except ValidationError as error:
        problem = explain(error, model)
    raise UserError(f"{file}: not a valid {what}: {problem}; remove it to redo")


def explain(error: ValidationError, model: type[BaseModel], file: Path | str | None = None) -> str:
    """One line for the first problem of a validation: file, key, bad value, valid choices."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    at = where(file, key)
    if first["type"] == "extra_forbidden":
        return str(unknown("key", first["loc"][-1], _fields_at(model, first["loc"][:-1]), at=at))
    if first["type"] == "missing":
        return f"{at}is missing"
    message = first["msg"].removeprefix("Value error, ")
    if not key:
        return f"{at}{message}"
    return f"{at}{message} (got {_brief(first['input'])})"


def _fields_at(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that are valid at ``location`` inside ``model``."""
    for part in location:
        fields = getattr(model, "model_fields", {})
        annotation = fields[part].annotation if part in fields else model
        candidates = [annotation, *_arguments(annotation)]
        found = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        named = [c for c in found if c.__name__ == part]
        model = (named or found or [model])[0]
    return list(getattr(model, "model_fields", {}))


def _arguments(annotation: Any) -> list[Any]:
    nested = getattr(annotation, "__args__", ())
    return [leaf for inner in nested for leaf in (inner, *_arguments(inner))]


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
