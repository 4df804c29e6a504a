"""From records (mappings) to documents: which field is the text, which the domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from benchmark.core.errors import UserError
from benchmark.core.spelling import domain_name, spelled
from benchmark.data.source import FilesSource, HubSource
from benchmark.data.text import Document, Tally

MOST_NAMES_SHOWN = 20


def documents_of_records(
    records: Iterable[tuple[str, dict[str, Any]]],
    choice: FilesSource | HubSource,
    default_domain: str,
    tally: Tally,
) -> Iterator[Document]:
    """Documents of ``(place, record)`` pairs; ``place`` is for messages.

    Raises `UserError` if a record lacks ``text_field`` or ``domain_field``, or if the field
    holds no text. A null text counts as empty.
    """
    # A record holds a field by its full name, or by the first of its dotted parts.
    used = {name for field in choice.asked for name in (field, field.split(".")[0])}
    for place, record in records:
        tally.unused(record.keys() - used)
        domain = default_domain
        if choice.domain_field is not None:
            domain = domain_name(_text(record, choice.domain_field, "domain_field", place))
        if not choice.domains or domain in choice.domains:
            text = _text(record, choice.text_field, "text_field", place)
            answer = choice.answer_field
            rest = None if answer is None else _text(record, answer, "answer_field", place)
            yield Document(text, domain, rest)
        else:
            tally.count("documents of domains that are not asked for")


def noting_absent(
    documents: Iterable[Document], choice: FilesSource | HubSource, tally: Tally
) -> Iterator[Document]:
    """The documents; ``tally`` hears of domains that are asked for and that none has."""
    met: set[str] = set()
    for document in documents:
        met.add(document.domain)
        yield document
    if choice.domains:
        tally.met(repr(choice), choice.domains, met)


def _text(record: dict[str, Any], field: str, key: str, place: str) -> str:
    value: Any = record
    for name in [field] if field in record else field.split("."):
        if not isinstance(value, dict) or name not in value:
            raise UserError(f"{place}: {key}: no field {field!r}; valid here: {_there(value)}")
        value = value[name]
    if value is not None and not isinstance(value, str):
        raise UserError(f"{place}: {key}: field {field!r} holds {_kind(value)}, which is not text")
    return value or ""


def _there(value: Any) -> str:
    """Names that a field may have, never what it holds: that may be the user's whole text."""
    if not isinstance(value, dict):
        return f"none, it holds {_kind(value)}"
    names = [spelled(str(name))[:80] for name in sorted(value, key=str)]
    more = f" and {len(names) - MOST_NAMES_SHOWN:,} more" * (len(names) > MOST_NAMES_SHOWN)
    return ", ".join(names[:MOST_NAMES_SHOWN]) + more


def _kind(value: Any) -> str:
    """What a value is; numbers are short and no text, so that they are shown."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)[:40]
    if isinstance(value, str):
        return f"a text of {len(value):,} characters"
    size = f" of {len(value):,} entries" if isinstance(value, list | dict | bytes) else ""
    return f"a {type(value).__name__}{size}"
