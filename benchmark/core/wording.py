"""What a validation found, in the words of whoever writes YAML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

LONGEST_VALUE = 80
_WANTED = {
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "string_type": "a text",
    "path_type": "a text that names a file or folder",
    "int_type": "a valid integer",
    "int_parsing": "a valid integer",
    "int_from_float": "a valid integer, without a fraction",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "recursion_loop": "free of itself",
}


def problem(error: ErrorDetails) -> str:
    """What is wrong, without the value."""
    wanted = _WANTED.get(error["type"])
    if wanted is None:
        message = error["msg"].removeprefix("Value error, ")
        message = re.sub(r"^[A-Z][a-z]+ should ", "must ", message)
        return re.sub(r" after validation, not \d+$", "", message)
    value = error["input"]
    simple = isinstance(value, str | int | float)
    if wanted == "a list" and simple:
        return f"must be a list: write [{_plain(value)}]"
    if wanted == "a text" and simple:
        return "must be a text: put it in quotes"
    return f"must be {wanted}"


def shown(value: Any) -> str:
    """A value as YAML calls it; what is long is cut, what holds others is only named."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return _plain(value)
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, dict) and value:
        return _cut(f"a mapping with the keys {', '.join(map(str, value))}")
    if isinstance(value, dict):
        return "an empty mapping"
    if isinstance(value, tuple):
        value = list(value)
    return _cut(repr(value))


def place(location: Sequence[int | str], content: Any, value: Any) -> list[str]:
    """The keys that lead to a problem, as the file has them.

    A location of pydantic's also names kinds of alternatives ("dataset" for a source that has this
    key) and validators: they are what does not lead from ``content`` to the bad ``value``.
    """
    if location and location[-1] == "[key]":  # a bad key is the value itself
        return [str(part) for part in location[:-2]]
    found = _lead(tuple(location), content, value)
    if found is None:
        found = [part for part in location if "[" not in str(part)]
    return [str(part) for part in found]


def _lead(location: tuple[int | str, ...], content: Any, value: Any) -> list[int | str] | None:
    if not location:
        return [] if content is value or _same(content, value) else None
    first, rest = location[0], location[1:]
    inner = _inner(content, first)
    if inner is not None:
        found = _lead(rest, inner[0], value)
        if found is not None:
            return [first, *found]
    if not rest and content is value and isinstance(content, dict) and first not in content:
        return [first]  # the key is missing
    return _lead(rest, content, value)


def _inner(content: Any, key: int | str) -> tuple[Any] | None:
    if isinstance(content, dict) and key in content:
        return (content[key],)
    if isinstance(content, list) and isinstance(key, int) and key < len(content):
        return (content[key],)
    return None


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _plain(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."
