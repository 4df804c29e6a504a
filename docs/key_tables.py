"""Tables of the keys of validated models: what is valid, the default, the meaning."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
import textwrap
import typing
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from benchmark.data.config import UNSAID, DataConfig


def prose(text: str) -> str:
    """A docstring as Markdown."""
    return inspect.cleandoc(text).replace("``", "`")


def table(*rows: Iterable[str]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()) for cell in line) + " |" for line in lines
    )


def code(value: Any) -> str:
    """A value as one writes it in YAML."""
    plain = f"{value:g}" if isinstance(value, float) else json.dumps(value)
    return f"`{value if isinstance(value, str) and value else plain}`"


def either(choices: Iterable[str]) -> str:
    """Choices in words."""
    *others, last = choices
    return f"{', '.join(others)} or {last}" if others else last


def without_meaning(page: str) -> Iterator[str]:
    """Section and name of each row of a page's tables whose last cell is empty."""
    section = ""
    for line in page.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and line.endswith("|  |"):
            yield f"{section}: {line.split(' | ')[0].removeprefix('| ')}"


class Models:
    """Sections about validated models, each on the page that first comes to it."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def sections(self, page: str, roots: Iterable[type[BaseModel]]) -> Iterator[str]:
        """A section for each model reached from ``roots`` that no page has yet."""
        found = [model for root in roots for model in _reached(root)]
        new = [model for model in dict.fromkeys(found) if model.__name__ not in self.places]
        for model in new:
            anchor = _title(model.__name__).lower().replace(" ", "-")
            self.places[model.__name__] = f"{page}#{anchor}"
        head = ["key", "valid", "default", "meaning"]
        for model in new:
            keys = table(head, *self.keys(model)).replace(f"({page}#", "(#")
            yield "\n\n".join([f"## {_title(model.__name__)}", _said(model.__doc__ or ""), keys])

    def keys(self, model: type[BaseModel], prefix: str = "") -> Iterator[list[str]]:
        """Key, valid values, default and meaning of every field."""
        schema = model.model_json_schema()
        meanings = _attribute_docstrings(model)
        for key, field in model.model_fields.items():
            meaning = field.description or meanings.get(key, "")
            if not meaning and f"``{key}``" in (model.__doc__ or ""):
                meaning = "see above"
            valid = self._valid(schema["properties"][key])
            default = _default(field)
            if model is DataConfig and key in UNSAID:
                default = f"`{UNSAID[key]}` (in a record: {default})"
            yield [f"`{prefix}{key}`", valid, default, _said(meaning)]

    def _valid(self, schema: dict[str, Any]) -> str:
        """What a JSON schema allows, in words."""
        if "$ref" in schema:
            name = schema["$ref"].split("/")[-1]
            title = _title(name).lower()
            return f"[{title}]({self.places[name]})" if name in self.places else title
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if alternatives:
            return either(self._valid(each) for each in alternatives)
        if "enum" in schema or "const" in schema:
            return either(code(value) for value in schema.get("enum", [schema.get("const")]))
        kind = schema.get("type", "anything")
        if kind == "array":
            least = f" ({schema['minItems']} or more)" if "minItems" in schema else ""
            if "prefixItems" in schema:
                return "list of " + " and ".join(map(self._valid, schema["prefixItems"]))
            return f"list{least} of {self._valid(schema['items'])}"
        if kind == "object":
            by_pattern = list(schema.get("patternProperties", {}).values())
            inner = by_pattern[0] if by_pattern else schema.get("additionalProperties")
            return (
                f"mapping of names to {self._valid(inner)}"
                if isinstance(inner, dict)
                else "mapping"
            )
        words = {"string": "text", "boolean": "`true` or `false`", "null": "`null`"}
        name = "path" if schema.get("format") == "path" else words.get(kind, kind)
        return " ".join([name, *" and ".join(_bounds(schema)).split()])


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    words = {
        "exclusiveMinimum": "above {:g}",
        "minimum": "at least {:g}",
        "exclusiveMaximum": "below {:g}",
        "maximum": "at most {}",
        "minLength": "of at least {} character",
        "maxLength": "of at most {} characters",
        "pattern": "matching `{}`",
    }
    return (said.format(schema[key]) for key, said in words.items() if key in schema)


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, BaseModel):
        return "its defaults"
    if field.default_factory in (None, dict):
        return code(field.get_default(call_default_factory=True))
    return prose(field.default_factory.__doc__).rstrip(".")


def _said(text: str) -> str:
    """A docstring as Markdown for who knows YAML and JSON."""
    return re.sub(r"\bNone\b", "`null`", prose(text))


def _title(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Config"))
    return words.lower().capitalize()


def _reached(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models in a type, each before those in its own fields."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _reached(field.annotation)
    for argument in typing.get_args(annotation):
        yield from _reached(argument)


def docstrings_below(source: str) -> dict[str, str]:
    """The string below each assignment of a module or class, by the name assigned to."""
    body = ast.parse(textwrap.dedent(source)).body
    if len(body) == 1 and isinstance(body[0], ast.ClassDef):
        body = body[0].body
    found = {}
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.Assign | ast.AnnAssign) and isinstance(below, ast.Expr):
            target = field.target if isinstance(field, ast.AnnAssign) else field.targets[0]
            found[ast.unparse(target)] = ast.literal_eval(below.value)
    return found


def _attribute_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The string below each field, those of a subclass before those of its bases."""
    own = model.__mro__[: model.__mro__.index(BaseModel)]
    sources = [docstrings_below(inspect.getsource(cls)) for cls in reversed(own)]
    return {name: text for found in sources for name, text in found.items()}
