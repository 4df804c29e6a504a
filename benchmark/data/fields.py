"""From records (mappings) to documents: which field is the text, which the domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from benchmark.core.errors import UserError
from benchmark.data.config import FilesSource, HubSource
from benchmark.data.text import Document


def documents_of_records(
    records: Iterable[tuple[str, dict[str, Any]]],
    choice: FilesSource | HubSource,
    default_domain: str,
) -> Iterator[Document]:
    """Documents of ``(place, record)`` pairs; ``place`` is for messages.

    Raises `UserError` if a record lacks ``text_field`` or ``domain_field``, or if the field
    holds no text. A null text counts as empty.
    """
    for place, record in records:
        domain = default_domain
        if choice.domain_field is not None:
            domain = _text(record, choice.domain_field, "domain_field", place)
        if not choice.domains or domain in choice.domains:
            yield Document(_text(record, choice.text_field, "text_field", place), domain)


def _text(record: dict[str, Any], field: str, key: str, place: str) -> str:
    value: Any = record
    for name in field.split("."):
        if not isinstance(value, dict) or name not in value:
            there = ", ".join(sorted(value)) if isinstance(value, dict) else repr(value)
            raise UserError(f"{place}: {key}: no field {field!r}; valid here: {there}")
        value = value[name]
    if value is not None and not isinstance(value, str):
        raise UserError(f"{place}: {key}: field {field!r} holds {value!r}, which is not text")
    return value or ""
