"""YAML that means what it looks like, or is refused: what PyYAML reads by YAML 1.1 surprises.

Every key is a text, whatever it looks like (``no``, ``1``, ``2024-01-01``), and is there once. Of
values, only ``true`` and ``false`` are true or false and only decimal numbers are numbers (``1e-3``
too); dates, ``yes`` and ``off`` are texts. ``010``, ``0x10`` and ``1:30``, which readers of YAML
take for different numbers, are refused.

Source: the core schema of YAML 1.2.2, section 10.3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from typing import Any, ClassVar

import yaml

_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*(?:_[0-9]+)*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_TRAP = re.compile(
    r"[-+]?(?:0[0-9_]+(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|0[xXoObB][0-9a-fA-F_]+"
    r"|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)"
)


class YamlRefusedError(yaml.MarkedYAMLError):
    """Valid YAML that says something other than it seems to."""


def load_yaml(text: str) -> Any:
    """The content of one document: mappings, lists, texts, numbers, true, false and None.

    Raises:
        ValueError: a line that says where, and what is wrong there.
    """
    try:
        return yaml.load(text, _StrictLoader)
    except YamlRefusedError as error:
        raise ValueError(f"{_line(error)}{error.problem}") from error
    except yaml.MarkedYAMLError as error:
        raise ValueError(f"not valid YAML: {_line(error)}{_problem(error)}") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        problem = f"character {error.character!r}" if hasattr(error, "character") else str(error)
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        raise ValueError(f"not valid YAML: line {line}: {problem} is not allowed") from error
    except RecursionError:
        raise ValueError("not valid YAML: nested too deeply") from None


def dump_yaml(content: Any, width: int | None = None, *, compact: bool = False) -> str:
    """YAML that `load_yaml` reads as ``content``, keys in their order.

    ``compact``: lists and mappings that hold no others are written in one line, or as few as fit.
    """
    return yaml.dump(
        content,
        Dumper=_StrictDumper,
        sort_keys=False,
        allow_unicode=True,
        width=width,
        default_flow_style=None if compact else False,
    )


def _problem(error: yaml.MarkedYAMLError) -> str:
    """What PyYAML says, which for some problems begins in the context."""
    said = error.problem or ""
    return f"{error.context}, {said}" if said.startswith("but") else said or str(error.context)


def _line(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}: " if mark is not None else ""


class _StrictLoader(yaml.SafeLoader):
    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Looked at here: once merged keys are filled in, a key may rightly be there twice.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused(key, "a key must be a text, not a list or mapping")
            line = key.start_mark.line + 1
            if key.value in lines:
                raise _refused(
                    key,
                    f"the key {_brief(key.value)} is there twice, the first time in line "
                    f"{lines[key.value]}: keep one of them",
                )
            lines[key.value] = line
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)
        return {
            _encodable(key): self.construct_object(value, deep=deep) for key, value in node.value
        }

    def text(self, node: yaml.ScalarNode) -> str:
        if node.style is None and _TRAP.fullmatch(node.value):
            raise _refused(
                node,
                f"{_brief(node.value)} is another number than it seems to some readers of YAML: "
                "write it as a decimal number, or in quotes if it is a text",
            )
        return _encodable(node)

    def nothing(self, node: yaml.ScalarNode) -> None:
        _match(_NULL, node, "nothing")

    def true_or_false(self, node: yaml.ScalarNode) -> bool:
        return _match(_BOOL, node, "true or false").lower() == "true"

    def integer(self, node: yaml.ScalarNode) -> int:
        try:
            return int(_match(_INT, node, "an integer").replace("_", ""))
        except ValueError:
            raise _refused(node, "an integer of too many digits") from None

    def number(self, node: yaml.ScalarNode) -> float:
        digits = _match(_FLOAT, node, "a number").replace("_", "").lower()
        value = float(re.sub(r"\.(?=inf|nan)", "", digits))
        if math.isinf(value) and "inf" not in digits:
            raise _refused(
                node, f"{_brief(node.value)} is too large a number; in quotes it is a text"
            )
        return value


def _match(pattern: re.Pattern[str], node: yaml.ScalarNode, what: str) -> str:
    """The text of a scalar, which a tag such as ``!!int`` may call what it is not."""
    if not pattern.fullmatch(node.value):
        raise _refused(node, f"{_brief(node.value)} is not {what}")
    return str(node.value)


def _encodable(node: yaml.ScalarNode) -> str:
    try:
        node.value.encode()
    except UnicodeEncodeError:
        raise _refused(node, "half of a character (an escape from \\ud800 to \\udfff)") from None
    return str(node.value)


def _refused(node: yaml.Node, problem: str) -> YamlRefusedError:
    return YamlRefusedError(problem=problem, problem_mark=node.start_mark)


def _brief(value: str) -> str:
    return repr(value) if len(value) <= 40 else repr(value[:37] + "...")


class _StrictDumper(yaml.SafeDumper):
    """Puts into quotes what either YAML 1.1 or `load_yaml` would read as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _anchored(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """PyYAML asks for a match at the beginning only."""
    return re.compile(rf"(?:{pattern.pattern})\Z")


_StrictLoader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"<<\Z"), ["<"])
_StrictLoader.add_implicit_resolver(f"{_TAG}null", _anchored(_NULL), ["~", "n", "N", ""])
_StrictLoader.add_implicit_resolver(f"{_TAG}bool", _anchored(_BOOL), list("tTfF"))
_StrictLoader.add_implicit_resolver(f"{_TAG}int", _anchored(_INT), list("-+0123456789"))
_StrictLoader.add_implicit_resolver(f"{_TAG}float", _anchored(_FLOAT), list("-+.0123456789"))
# What a text looks like: the dumper quotes it.
_StrictDumper.add_implicit_resolver(f"{_TAG}float", _anchored(_FLOAT), list("-+.0123456789"))
_StrictDumper.add_implicit_resolver(f"{_TAG}int", _anchored(_TRAP), list("-+0123456789"))
for _kind, _read in {
    "null": _StrictLoader.nothing,
    "bool": _StrictLoader.true_or_false,
    "int": _StrictLoader.integer,
    "float": _StrictLoader.number,
    "str": _StrictLoader.text,
    "seq": yaml.SafeLoader.construct_yaml_seq,
    "map": yaml.SafeLoader.construct_yaml_map,
}.items():
    _StrictLoader.add_constructor(f"{_TAG}{_kind}", _read)
# Typed as needing a name, but None stands for every other tag.
_StrictLoader.add_constructor(None, yaml.SafeLoader.construct_undefined)  # type: ignore[type-var]
